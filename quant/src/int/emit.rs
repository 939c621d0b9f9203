//! Hands tensors to a tap.

use super::attention::{HeadOutput, Query};
use super::tap::{At, IntTap, Point};

/// Reports a `[tokens, width]` tensor token by token.
pub(super) fn emit(
    tap: &mut dyn IntTap,
    point: Point,
    layer: Option<usize>,
    base: u64,
    width: usize,
    data: &[i32],
) {
    if tap.active() {
        for (t, row) in data.chunks_exact(width).enumerate() {
            tap.tensor(At { point, layer, token: base + t as u64, head: None }, row);
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
    let mut say = |point, data: &[i32]| tap.tensor(At { point, layer: Some(l), token, head: Some(h) }, data);
    let widen = |codes: &[i8]| codes.iter().map(|v| i32::from(*v)).collect::<Vec<_>>();
    say(Point::QWin, &window.rot);
    say(Point::QSink, &sink.rot);
    say(Point::Q8Win, &widen(&window.codes));
    say(Point::Q8Sink, &widen(&sink.codes));
    say(Point::QScale, &[i32::from(window.scale), i32::from(sink.scale)]);
    say(Point::QSum, &[window.sum, sink.sum]);
    say(Point::Score, &out.score);
    say(Point::Prob, &out.probabilities());
    say(Point::ProbSum, &[out.sum as i32]);
    say(Point::AttnAcc, &out.acc);
    say(Point::AttnO8, &widen(&out.o8));
}
