//! Heads as the engine rotates and rounds them: padded to 64, 128 or 256, after a Walsh-Hadamard transform.

use accllm_hw::sizes::padded_head;

/// Calls `f` with every head of every row, and its number.
pub(crate) fn each_head(data: &mut [f32], head_dim: usize, heads: usize, f: impl Fn(usize, &mut [f32])) {
    data.chunks_exact_mut(head_dim).enumerate().for_each(|(i, head)| f(i % heads, head));
}

/// Rounds a key head to a static grid, in the rotated basis.
pub(crate) fn static_key_head(head: &mut [f32], step: f32) {
    in_rotated_basis(head, 0, |x| {
        x.iter_mut().for_each(|v| *v = ((*v / step + 0.5).floor().clamp(-8.0, 7.0)) * step);
    });
}

/// Rounds a key head to 16 levels between its extremes, in the rotated basis with that leading pair.
pub(crate) fn key_head(head: &mut [f32], lead: usize) {
    in_rotated_basis(head, lead, |x| {
        let low = x.iter().copied().fold(f32::INFINITY, f32::min);
        let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let step = (high - low) / 15.0;
        if step > 0.0 {
            x.iter_mut().for_each(|v| *v = low + ((*v - low) / step).round() * step);
        }
    });
}

/// Rounds a query head to 255 levels, in the rotated basis with that leading pair.
pub(crate) fn query_head(head: &mut [f32], lead: usize) {
    in_rotated_basis(head, lead, |x| {
        let step = x.iter().map(|v| v.abs()).fold(0.0, f32::max) / 127.0;
        if step > 0.0 {
            x.iter_mut().for_each(|v| *v = (*v / step).round() * step);
        }
    });
}

fn in_rotated_basis(head: &mut [f32], lead: usize, edit: impl Fn(&mut [f32])) {
    let mut x = hadamard(head, lead);
    edit(&mut x);
    let mut back = transform(x);
    let (half, n) = (head.len() / 2, back.len());
    put_first(&mut back, lead);
    for i in 0..half {
        head[i] = back[i] / n as f32;
        head[half + i] = back[n / 2 + i] / n as f32;
    }
}

/// Walsh-Hadamard transform (not normalized) of a head in its padded layout.
pub(crate) fn hadamard(head: &[f32], lead: usize) -> Vec<f32> {
    transform(padded(head, lead))
}

/// A head in the engine's padded layout: the smallest width of the three that holds it, the two halves of the head at the
/// starts of the two halves, pair `lead` and pair 0 in each other's place.
pub(crate) fn padded(head: &[f32], lead: usize) -> Vec<f32> {
    let half = head.len() / 2;
    let n = padded_head(head.len()).max(head.len().next_power_of_two());
    let mut x = vec![0.0f32; n];
    x[..half].copy_from_slice(&head[..half]);
    x[n / 2..n / 2 + half].copy_from_slice(&head[half..]);
    put_first(&mut x, lead);
    x
}

fn put_first(padded: &mut [f32], lead: usize) {
    let half = padded.len() / 2;
    padded.swap(0, lead);
    padded.swap(half, half + lead);
}

fn transform(mut x: Vec<f32>) -> Vec<f32> {
    let mut h = 1;
    while h < x.len() {
        for block in x.chunks_exact_mut(2 * h) {
            let (low, high) = block.split_at_mut(h);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        h *= 2;
    }
    x
}
