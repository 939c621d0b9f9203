//! Sizes of known shapes, and the host's arithmetic.

use super::common;

use accllm_compiler::abi::reg;
use accllm_compiler::{Settings, Step};
use common::{compile, llama2_7b, shapes};

#[test]
fn llama2_7b_on_u280() {
    let p = compile(&llama2_7b(), "u280", &Settings::new(4, 2044));
    let info = p.info();
    println!("{info}");
    for context in [0, 128, 2047, 1_000_000] {
        println!(
            "context {context}: {} beats, {} bytes a token",
            p.beats_per_token(context),
            p.bytes_per_token(context)
        );
    }
    assert!(info.instruction_bytes() < 256 << 10);
    // 6.48e9 layer weights at 2 bit and a head of 131e6 at 4.5 bit, parameters besides.
    let bytes = (p.layout.weights.end * 32 * 64) as f64;
    let ideal = 6.476e9 * 2.0 / 8.0 + 131.1e6 * 4.5 / 8.0;
    assert!((1.0..1.01).contains(&(bytes / ideal)), "{bytes} for {ideal}");
    assert!((0..32).all(|l| info.layer_padding(l) < 0.001));
    assert_eq!(p.beats_per_token(4000), p.beats_per_token(1_000_000_000));
}

#[test]
fn arguments_of_steps() {
    let (_, spec, _) = shapes().swap_remove(0);
    let p = compile(&spec, "tiny", &Settings::new(4, 24));
    let l = &p.layout;
    assert_eq!(l.shape.ring, 32);
    let arg = |position, tokens, register: u8| {
        let step = Step { position, tokens, head: true };
        l.args(step).map(|a| a[usize::from(register) - 1]).unwrap_or(u32::MAX)
    };
    assert_eq!(arg(0, 1, reg::FIRST.ring), 28);
    assert_eq!(arg(4, 1, reg::FIRST.ring), 0);
    assert_eq!(arg(37, 1, reg::FIRST.ring), 1);
    assert_eq!(arg(0, 1, reg::WSLOTS), 32);
    assert_eq!(arg(0, 1, reg::KSTEPS), 1);
    assert_eq!(arg(10, 3, reg::KSTEPS), (13 - 4_u32).div_ceil(4));
    assert_eq!(arg(1_000_000, 8, reg::FIRST.tokens), 4);
    for (position, tokens) in [(0, 0), (0, 9), (1 << 31, 1)] {
        assert!(l.args(Step { position, tokens, head: true }).is_err());
    }
    assert!(l.io_block(0, &[101]).is_err());
    // The second token is the first one of the second group, whose rows begin at 4.
    let io = l.io_block(5, &[1, 2]).unwrap_or_default();
    assert_eq!(io.len(), 64 + 64 + 5 * 2 * 64 * 2);
    assert_eq!((io[0], io[4 * 4]), (1, 2));
    assert_eq!((arg(5, 3, reg::FIRST.tokens), arg(5, 3, reg::SECOND.tokens)), (2, 1));
    assert_eq!((arg(5, 3, reg::SECOND.pos), arg(5, 3, reg::SECOND.ring)), (7, 3));
    assert_eq!((arg(5, 3, reg::DECODE), arg(5, 3, reg::PREFILL)), (0, 1));
    assert_eq!((arg(5, 1, reg::DECODE), arg(5, 1, reg::PREFILL)), (1, 0));
    let seen: Vec<u64> = l.visible(40).collect();
    assert_eq!(seen, (0..4).chain(17..=40).collect::<Vec<_>>());
    assert_eq!(l.visible(2).collect::<Vec<_>>(), [0, 1, 2]);
}
