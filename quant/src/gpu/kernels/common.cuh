// Shared by all kernels. HIDDEN, FFN, HEAD, HEADS, KV_HEADS, VOCAB and NORM_EPS are given on the compiler's command line; the
// width of a head is 64 or 128. Compiled without contraction of products and sums, so that the rounding of the engine comes out
// the same to the bit as on the CPU; where speed asks for it `fmaf` is written out.
#define HALF (HEAD / 2)
#define GROUP 32
#define QKV ((HEADS + 2 * KV_HEADS) * HEAD)
#define KERNEL extern "C" __global__ void
#define FULL 0xffffffffu
// Elements of a head that a lane has: those at its number and every 32 further.
#define OF_HEAD (HEAD / 32)
#define SCORE_SCALE (HEAD == 64 ? 0.125f : 0.08838834764831845f)
#define LOG2_E 1.4426950408889634f

typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifndef CUDA_ON_CPU
#define DEVICE __device__ __forceinline__
// Dynamic shared memory.
#define SHARED(type, name) extern __shared__ __align__(16) unsigned char name##_raw[]; type* name = (type*)name##_raw

DEVICE bf16 down(float x) {
    bf16 r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
    return r;
}
DEVICE u32 pack(float low, float high) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
// Four 8x8 tiles of bf16; each lane gives the address of one row of 16 bytes.
DEVICE void ldmatrix4(u32* r, const void* p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(p)));
}
DEVICE void ldmatrix4_t(u32* r, const void* p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(p)));
}
// d += a b, of 16x16 and 16x8.
DEVICE void mma(float* d, const u32* a, const u32* b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEVICE void copy16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from));
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;"); }
template <int N> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N)); }
DEVICE float exp2_fast(float x) {
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
#endif

DEVICE float up(bf16 x) { return __uint_as_float((u32)x << 16); }
DEVICE float low_of(u32 x) { return __uint_as_float(x << 16); }
DEVICE float high_of(u32 x) { return __uint_as_float(x & 0xffff0000u); }

DEVICE float warp_sum(float x) {
    for (int s = 16; s; s >>= 1) x += __shfl_xor_sync(FULL, x, s);
    return x;
}
DEVICE float warp_max(float x) {
    for (int s = 16; s; s >>= 1) x = fmaxf(x, __shfl_xor_sync(FULL, x, s));
    return x;
}
// Keeps the largest magnitude; as bits, floats from 0 up are in order.
DEVICE void record_max(u32* most, float x) {
    if (most && __float_as_uint(x) > *most) atomicMax(most, __float_as_uint(x));
}
// To int8 over a static step, as `simulate.rs` rounds.
DEVICE float round_to(float x, float step, float low, float high) {
    return fminf(fmaxf(roundf(x / step), low), high) * step;
}
