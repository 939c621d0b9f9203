//! Text form of instructions: `MATW a=R16+0x40 b=0x20 n=12 wait=1 sig=2 ; layer 2 q_proj`.
//!
//! One instruction a line; `;` begins a comment. Fields that are 0 are left out. Numbers are decimal or `0x` hex.

mod parse;
mod print;

pub use parse::{assemble, assemble_line};
pub use print::disassemble;

use crate::program::Program;

impl Program {
    /// One instruction with its label as comment; empty past the end.
    pub fn disassemble_line(&self, pc: usize) -> String {
        match (self.code.get(pc), self.labels.get(pc)) {
            (Some(i), Some(label)) => format!("{} ; {label}", disassemble(i)),
            (Some(i), None) => disassemble(i),
            _ => String::new(),
        }
    }

    /// The whole program, indices and labels as comments, loops indented.
    pub fn disassemble(&self) -> String {
        let mut out = String::new();
        let mut depth = 0usize;
        for (pc, i) in self.code.iter().enumerate() {
            let text = disassemble(i);
            if text.starts_with("ENDLOOP") {
                depth = depth.saturating_sub(1);
            }
            let label = self.labels.get(pc).map(ToString::to_string).unwrap_or_default();
            let line = format!("{}{text}", "  ".repeat(depth));
            out.push_str(&format!("{line:<100} ; {pc}: {label}\n"));
            if text.starts_with("LOOP") {
                depth += 1;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use accllm_hw::isa::{Instr, OPS, Op, Unit};
    use proptest::prelude::*;

    /// Any legal instruction: a random one with the fields that its operation does not use cleared.
    fn legal() -> impl Strategy<Value = Instr> {
        let sync = (proptest::array::uniform2(0u8..16), proptest::array::uniform2(0u8..16), 0u8..16);
        let wide = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
        let narrow = (any::<u16>(), any::<u16>(), any::<u16>(), any::<u8>(), any::<u8>(), any::<u8>());
        (0..OPS.len(), sync, wide, narrow, proptest::array::uniform5(0u8..32)).prop_map(
            |(op, (wait, signal, prefetch_wait), (a, b, c, aux), (n, m, k, sh, x, flags), regs)| {
                let info = &OPS[op];
                let mut i = Instr {
                    op: info.op as u8,
                    flags,
                    wait,
                    signal,
                    prefetch_wait,
                    a,
                    b,
                    c,
                    n,
                    m,
                    regs,
                    k,
                    sh,
                    x,
                    aux,
                };
                let unused = |l: char| !info.fields.contains(l);
                for (at, letter) in "abcnm".chars().enumerate().filter(|(_, l)| unused(*l)) {
                    i.regs[at] = 0;
                    match letter {
                        'a' => i.a = 0,
                        'b' => i.b = 0,
                        'c' => i.c = 0,
                        'n' => i.n = 0,
                        _ => i.m = 0,
                    }
                }
                i.k = if unused('k') { 0 } else { i.k };
                i.sh = if unused('h') { 0 } else { i.sh };
                i.x = if unused('x') { 0 } else { i.x };
                i.aux = if unused('u') { 0 } else { i.aux };
                i.flags = if unused('f') { 0 } else { i.flags };
                if info.unit == Unit::Control {
                    (i.wait, i.signal) = ([0; 2], [0; 2]);
                }
                if info.unit != Unit::Matrix {
                    i.prefetch_wait = 0;
                }
                i
            },
        )
    }

    proptest! {
        #[test]
        fn assemble_inverts_disassemble(code in proptest::collection::vec(legal(), 0..20)) {
            let text: String = code.iter().map(|i| disassemble(i) + " ; comment\n").collect();
            prop_assert_eq!(assemble(&text).map_err(|e| TestCaseError::fail(e.to_string()))?, code);
        }

        #[test]
        fn assembler_never_panics(text in ".{0,80}", op in 0..OPS.len()) {
            let _ = assemble(&text);
            let _ = assemble(&format!("{} {text}", OPS[op].name));
        }
    }

    #[test]
    fn syntax_as_documented() {
        let i = Instr {
            op: Op::MATW as u8,
            a: 64,
            n: 12,
            regs: [16, 0, 0, 0, 1],
            wait: [3, 0],
            signal: [1, 2],
            prefetch_wait: 4,
            ..Instr::default()
        };
        assert_eq!(disassemble(&i), "MATW a=R16+0x40 n=12 m=R1 wait=3 sig=1,2 pfw=4");
        assert!(
            matches!(assemble_line("MATW a=R16+0x40 n=12 m=R1 wait=3 sig=1,2 pfw=4"), Ok(Some(j)) if j == i)
        );
        for (bad, message) in [
            ("MUL a=1", "no instruction 'MUL'"),
            ("ADD q=1", "no field 'q'"),
            ("ADD a=R40", "register"),
            ("MATW n=65536", "n"),
            ("MATW a=1 a=2", "twice"),
            ("END a=1", "must be zero"),
            ("MATW a", "field=value"),
            ("RADD wait=16", "semaphore"),
        ] {
            let error = assemble(bad).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(message) && error.contains("line 1"), "{bad}: {error}");
        }
    }
}
