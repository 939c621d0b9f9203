//! Matrix products by cuBLASLt. The fastest of its proposals is found by trying them, once for each size.

use super::cuda::failed;
use super::device::{Operand, Out, Product};
use accllm_llm::Result;
use cudarc::cublaslt::{result, sys};
use cudarc::driver::{result as driver, sys as driver_sys};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;

/// Bytes that a product may use besides its operands.
const WORKSPACE: usize = 128 << 20;
/// Proposals that are tried.
const TRIED: usize = 8;
/// Runs of each.
const RUNS: usize = 3;

/// A kind of product: sizes, layouts, types, alignment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    size: [usize; 3],
    operands: [(usize, bool, usize); 2],
    kind: Out,
    batch: (usize, [usize; 2]),
    alignment: u32,
}

/// Waits for all work of the stream.
type Wait<'a> = &'a dyn Fn() -> Result<()>;

/// A product ready to be run.
#[derive(Clone, Copy)]
struct Plan {
    operation: sys::cublasLtMatmulDesc_t,
    /// Of b, a, with and out, as a library sees them that counts columns first.
    layouts: [sys::cublasLtMatrixLayout_t; 4],
    algorithm: sys::cublasLtMatmulAlgo_t,
}

/// The library, and the plans made so far.
pub(super) struct Products {
    handle: sys::cublasLtHandle_t,
    stream: driver_sys::CUstream,
    workspace: u64,
    plans: RefCell<HashMap<Key, Plan>>,
}

impl Products {
    pub fn new(stream: driver_sys::CUstream) -> Result<Self> {
        let handle = result::create_handle().map_err(failed)?;
        // SAFETY: the workspace is written before it is read, by the library.
        let workspace = unsafe { driver::malloc_sync(WORKSPACE) }.map_err(failed)?;
        Ok(Self { handle, stream, workspace, plans: RefCell::default() })
    }

    /// Runs a product; `wait` waits for all work of the stream, where its fastest way has to be found first.
    pub fn run(&self, p: &Product, wait: Wait<'_>) -> Result<()> {
        let at = p.a.at.0 | p.b.at.0 | p.with.0 | p.out.0;
        let operand = |o: Operand| (o.row, o.transposed, o.stride);
        let key = Key {
            size: p.size,
            operands: [operand(p.a), operand(p.b)],
            kind: p.kind,
            batch: p.batch,
            alignment: 1 << at.trailing_zeros().min(8),
        };
        let known = self.plans.borrow().get(&key).copied();
        let plan = match known {
            Some(plan) => plan,
            None => {
                let plan = self.plan(p, &key, wait)?;
                self.plans.borrow_mut().insert(key, plan);
                plan
            }
        };
        self.start(p, &plan, &plan.algorithm)
    }

    fn start(&self, p: &Product, plan: &Plan, algorithm: &sys::cublasLtMatmulAlgo_t) -> Result<()> {
        let [b, a, with, out] = plan.layouts;
        let pointer = |x: &f32| std::ptr::from_ref(x).cast::<c_void>();
        // SAFETY: layouts describe the operands, which lie in memory of the card.
        unsafe {
            result::matmul(
                self.handle,
                plan.operation,
                pointer(&p.alpha),
                pointer(&p.beta),
                p.b.at.0 as *const c_void,
                b,
                p.a.at.0 as *const c_void,
                a,
                p.with.0 as *const c_void,
                with,
                p.out.0 as *mut c_void,
                out,
                algorithm,
                self.workspace as *mut c_void,
                WORKSPACE,
                self.stream.cast(),
            )
        }
        .map_err(failed)
    }

    /// The library counts columns first: a row-major matrix is its own transpose there, and `out^T = b^T a^T`.
    fn plan(&self, p: &Product, key: &Key, wait: Wait<'_>) -> Result<Plan> {
        use sys::cublasLtMatmulDescAttributes_t::{CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB};
        let [m, k, n] = p.size;
        let (batch, [with, out]) = p.batch;
        let bf16 = sys::cudaDataType_t::CUDA_R_16BF;
        let kind = if p.kind == Out::F32 { sys::cudaDataType_t::CUDA_R_32F } else { bf16 };
        let stored = |o: Operand, [rows, cols]: [usize; 2]| {
            let [rows, cols] = if o.transposed { [cols, rows] } else { [rows, cols] };
            layout(bf16, [cols, rows], o.row, batch, o.stride)
        };
        let layouts = [
            stored(p.b, [k, n])?,
            stored(p.a, [m, k])?,
            layout(kind, [n, m], n, batch, with)?,
            layout(kind, [n, m], n, batch, out)?,
        ];
        let operation = result::create_matmul_desc(
            sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            sys::cudaDataType_t::CUDA_R_32F,
        )
        .map_err(failed)?;
        for (attribute, transposed) in
            [(CUBLASLT_MATMUL_DESC_TRANSA, p.b.transposed), (CUBLASLT_MATMUL_DESC_TRANSB, p.a.transposed)]
        {
            let value = i32::from(transposed);
            // SAFETY: the attribute is an int; 1 is transposed.
            unsafe {
                result::set_matmul_desc_attribute(operation, attribute, std::ptr::from_ref(&value).cast(), 4)
            }
            .map_err(failed)?;
        }
        let proposals = self.proposals(operation, layouts, key.alignment)?;
        let first =
            *proposals.first().ok_or_else(|| failed(format!("no way to multiply {m} x {k} x {n}")))?;
        let mut plan = Plan { operation, layouts, algorithm: first };
        if p.beta == 0.0 || p.with != p.out {
            plan.algorithm = self.fastest(p, &plan, &proposals, wait)?;
        }
        Ok(plan)
    }

    fn proposals(
        &self,
        operation: sys::cublasLtMatmulDesc_t,
        [b, a, with, out]: [sys::cublasLtMatrixLayout_t; 4],
        alignment: u32,
    ) -> Result<Vec<sys::cublasLtMatmulAlgo_t>> {
        use sys::cublasLtMatmulPreferenceAttributes_t as Attribute;
        let preference = result::create_matmul_pref().map_err(failed)?;
        let set = |attribute, value: *const c_void, size| {
            // SAFETY: the value is of the attribute's size.
            unsafe { result::set_matmul_pref_attribute(preference, attribute, value, size) }.map_err(failed)
        };
        set(Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::ptr::from_ref(&WORKSPACE).cast(), 8)?;
        for attribute in [
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ] {
            set(attribute, std::ptr::from_ref(&alignment).cast(), 4)?;
        }
        // SAFETY: all descriptions are alive; the library fills as many results as it counts.
        unsafe {
            let mut found: [sys::cublasLtMatmulHeuristicResult_t; TRIED] = std::mem::zeroed();
            let mut count = 0;
            sys::cublasLtMatmulAlgoGetHeuristic(
                self.handle,
                operation,
                b,
                a,
                with,
                out,
                preference,
                TRIED as i32,
                found.as_mut_ptr(),
                &raw mut count,
            )
            .result()
            .map_err(failed)?;
            result::destroy_matmul_pref(preference).map_err(failed)?;
            let good = |r: &&sys::cublasLtMatmulHeuristicResult_t| r.state.result().is_ok();
            Ok(found.iter().take(count.max(0) as usize).filter(good).map(|r| r.algo).collect())
        }
    }

    /// The fastest of some ways; runs the product.
    fn fastest(
        &self,
        p: &Product,
        plan: &Plan,
        ways: &[sys::cublasLtMatmulAlgo_t],
        wait: Wait<'_>,
    ) -> Result<sys::cublasLtMatmulAlgo_t> {
        let mut best = (f32::INFINITY, plan.algorithm);
        for way in ways {
            if self.start(p, plan, way).is_err() {
                continue;
            }
            let time = self.time(|| (0..RUNS).try_for_each(|_| self.start(p, plan, way)), wait)?;
            if time < best.0 {
                best = (time, *way);
            }
        }
        Ok(best.1)
    }

    /// Milliseconds.
    fn time(&self, work: impl FnOnce() -> Result<()>, wait: Wait<'_>) -> Result<f32> {
        use driver_sys::CUevent_flags_enum::CU_EVENT_DEFAULT;
        let event = || driver::event::create(CU_EVENT_DEFAULT).map_err(failed);
        let (begin, end) = (event()?, event()?);
        // SAFETY: events and stream are ours and alive.
        unsafe {
            driver::event::record(begin, self.stream).map_err(failed)?;
            work()?;
            driver::event::record(end, self.stream).map_err(failed)?;
            wait()?;
            let time = driver::event::elapsed(begin, end).map_err(failed)?;
            driver::event::destroy(begin).map_err(failed)?;
            driver::event::destroy(end).map_err(failed)?;
            Ok(time)
        }
    }
}

/// A matrix of `[rows, columns]`, columns first.
fn layout(
    kind: sys::cudaDataType_t,
    [rows, cols]: [usize; 2],
    column: usize,
    batch: usize,
    stride: usize,
) -> Result<sys::cublasLtMatrixLayout_t> {
    use sys::cublasLtMatrixLayoutAttribute_t::{
        CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
    };
    let layout =
        result::create_matrix_layout(kind, rows as u64, cols as u64, column as i64).map_err(failed)?;
    let (batch, stride) = (batch as i32, stride as i64);
    // SAFETY: the layout is alive; the first attribute is of 4 bytes, the second of 8.
    unsafe {
        let batch = std::ptr::from_ref(&batch).cast();
        let stride = std::ptr::from_ref(&stride).cast();
        result::set_matrix_layout_attribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, batch, 4)
            .map_err(failed)?;
        result::set_matrix_layout_attribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride, 8)
            .map_err(failed)?;
    }
    Ok(layout)
}
