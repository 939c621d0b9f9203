//! Hands tensors to a tap.

use super::attention::{HeadOutput, Query};
use super::tap::{At, IntTap};
use accllm_hw::tensor::Tensor;

/// Reports a `[tokens, width]` tensor token by token.
pub(super) fn emit(
    tap: &mut dyn IntTap,
    tensor: Tensor,
    layer: Option<usize>,
    base: u64,
    width: usize,
    data: &[i32],
) {
    if tap.active() {
        for (t, row) in data.chunks_exact(width).enumerate() {
            tap.tensor(At { tensor, layer, token: base + t as u64, head: None }, row);
        }
    }
}

/// Reports what attention computed for one token and query head.
pub(super) fn emit_head(
    tap: &mut dyn IntTap,
    l: usize,
    token: u64,
    h: usize,
    window: &Query,
    sink: &Query,
    out: &HeadOutput,
) {
    let mut say =
        |tensor, data: &[i32]| tap.tensor(At { tensor, layer: Some(l), token, head: Some(h) }, data);
    let widen = |codes: &[i8]| codes.iter().map(|v| i32::from(*v)).collect::<Vec<_>>();
    say(Tensor::QWin, &window.rot);
    say(Tensor::QSink, &sink.rot);
    say(Tensor::Q8Win, &widen(&window.codes));
    say(Tensor::Q8Sink, &widen(&sink.codes));
    say(Tensor::QScaleWin, &[i32::from(window.scale)]);
    say(Tensor::QScaleSink, &[i32::from(sink.scale)]);
    say(Tensor::QSumWin, &[window.sum]);
    say(Tensor::QSumSink, &[sink.sum]);
    say(Tensor::Score, &out.score);
    say(Tensor::Prob, &out.probabilities());
    say(Tensor::ProbSum, &[out.sum as i32]);
    say(Tensor::AttnAcc, &out.acc);
    say(Tensor::AttnO8, &widen(&out.o8));
}
