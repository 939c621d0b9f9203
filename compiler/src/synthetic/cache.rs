//! A KV cache as a text of some length would have left it: seeded random codes, scales and bases of the magnitudes
//! that the synthetic model's own keys and values have.

use super::Synthetic;
use super::normal::{Normal, SIGMA};
use super::rng::Rng;
use super::source::{part, target};
use crate::error::{Result, model};
use crate::image::MemoryImage;
use crate::program::Program;
use accllm_hw::beat::{KeyBeats, key_param, set_param};
use accllm_hw::config::{BEAT_BYTES, GROUP, PARAMS};
use accllm_hw::sizes::Linear;
use rayon::prelude::*;
use std::sync::Arc;

/// Standard deviations between the largest and the smallest of a head's elements.
const SPAN: f64 = 5.0;

/// Pairs of 4-bit codes.
struct Codes([u8; 256]);

impl Codes {
    /// Codes with this standard deviation, by 8 random bits.
    fn new(deviation: f64) -> Self {
        let code = |i: usize| {
            let value = Normal::new().quantile(i, 256) as f64 / f64::from(SIGMA) * deviation;
            (value.round().clamp(-8.0, 7.0) as i8) as u8 & 15
        };
        Self(std::array::from_fn(code))
    }

    /// Fills bytes with two codes each.
    fn fill<'b>(&self, bytes: impl Iterator<Item = &'b mut u8>, rng: &mut Rng) {
        let mut bits = 0;
        for (i, byte) in bytes.enumerate() {
            bits = if i.is_multiple_of(4) { rng.next() } else { bits >> 16 };
            let nibble = |shift: u32| self.0[(bits >> shift) as usize & 255];
            *byte = nibble(0) | nibble(8) << 4;
        }
    }
}

/// A slot of a channel's cache, in the region that begins at a beat.
struct Slot {
    channel: usize,
    region: usize,
    slot: usize,
}

/// Codes of keys, and the mean of their steps.
struct Keys {
    codes: Codes,
    scale: f64,
}

/// Slots that hold a token: in the sinks' region, in the window's.
struct Slots {
    sinks: Vec<usize>,
    window: Vec<usize>,
}

impl Slots {
    fn new(program: &Program, context: u64) -> Self {
        let s = &program.layout.shape;
        let n_sink = s.lambda.n_sink as u64;
        let oldest = context.saturating_sub(s.ring as u64).max(n_sink);
        let at = |p: u64| program.layout.slot(p).1;
        Self {
            sinks: (0..context.min(n_sink)).map(at).collect(),
            window: (oldest..context).map(at).collect(),
        }
    }
}

impl Synthetic {
    /// Writes the KV cache after `context` tokens of each sequence into an image of the model's program.
    ///
    /// # Errors
    /// The program or the image is of another model.
    pub fn fill_cache(&self, program: &Program, image: &mut MemoryImage, context: u64) -> Result<()> {
        let l = &program.layout;
        let fits = image.channels.len() == l.shape.channels
            && image.channels.iter().all(|c| c.len() == l.kv.end * BEAT_BYTES);
        if !fits || l.shape.sizes.layers != self.sizes.layers {
            return Err(model("the image is not one of this model", "make it with the same program"));
        }
        let slots = Slots::new(program, context);
        let consts = self.consts(0);
        let rot =
            target(Linear::K) * (self.sizes.head_dim as f64).sqrt() / f64::from(1u32 << consts.rot_shift_k);
        let keys = Keys { scale: SPAN * rot / 15.0, codes: Codes::new(15.0 / SPAN) };
        let values = Codes::new(target(Linear::V) / f64::from(1u32 << consts.v_shift));
        image.channels.par_iter_mut().enumerate().for_each(|(c, beats)| {
            let beats = Arc::make_mut(beats).as_chunks_mut::<BEAT_BYTES>().0;
            let layers = l.shape.sizes.layers;
            let each = (0..l.shape.sequences).flat_map(|s| (0..layers).map(move |layer| (s, layer)));
            for (s, layer) in each {
                for head in 0..l.shape.sizes.kv_heads {
                    let path = [part::CACHE, (s * layers + layer) as u64, head as u64, c as u64];
                    let mut rng = Rng::of(self.seed, &path);
                    let k = l.kv.k_at(layer, head) + s * l.kv.seq;
                    let v = l.kv.v_at(layer, head) + s * l.kv.seq;
                    let mut key = |region, slot| {
                        key_of(program, beats, &Slot { channel: c, region, slot }, &keys, &mut rng);
                    };
                    slots.sinks.iter().for_each(|&slot| key(k, slot));
                    slots.window.iter().for_each(|&slot| key(k + l.kv.k_window, slot));
                    let sinks = slots.sinks.iter().copied();
                    let all = sinks.chain(slots.window.iter().map(|slot| slot + l.shape.sink_pad));
                    all.for_each(|slot| {
                        let at = Slot { channel: c, region: v, slot };
                        value_of(program, beats, &at, &values, &mut rng);
                    });
                }
            }
        });
        Ok(())
    }
}

/// The key in a slot of a region, where it is this channel's.
fn key_of(program: &Program, beats: &mut [[u8; BEAT_BYTES]], at: &Slot, keys: &Keys, rng: &mut Rng) {
    let &Slot { channel, region, slot } = at;
    let s = &program.layout.shape;
    let in_beats = KeyBeats::of(s.hdp);
    let together = in_beats.keys;
    if slot / together % s.channels != channel {
        return;
    }
    let (step, half) = (slot / s.k_slots, slot % together);
    let (params, codes) = in_beats.at(step);
    // Scales differ by a fifth, bases by half a step.
    let fraction = |bits: u64| (bits & 0xffff) as f64 / 65536.0;
    let bits = rng.next();
    let step_size = keys.scale * (0.8 + 0.4 * fraction(bits));
    let base = step_size * (fraction(bits >> 16) - 0.5);
    let word = (step * together + half) % PARAMS;
    let param = key_param(step_size.round().max(1.0) as u16, base as i16);
    set_param(&mut beats[region + params], word, param);
    // A token of a pair has every second byte.
    let codes = beats[region + codes..][..in_beats.beats].as_flattened_mut();
    keys.codes.fill(codes.iter_mut().skip(half).step_by(together), rng);
}

/// Four dims of the value in a slot, of every step.
fn value_of(program: &Program, beats: &mut [[u8; BEAT_BYTES]], at: &Slot, codes: &Codes, rng: &mut Rng) {
    let &Slot { channel, region, slot } = at;
    let (s, kv) = (&program.layout.shape, &program.layout.kv);
    for step in 0..kv.v_steps {
        let dim = (step * s.channels + channel) * 4;
        let real = s.sizes.head_dim.saturating_sub(dim).min(4);
        let beat = &mut beats[region + step * kv.v_blocks + slot / GROUP];
        let bytes = &mut beat[2 * (slot % GROUP)..][..2];
        codes.fill(bytes.iter_mut(), rng);
        for g in real..4 {
            bytes[g / 2] &= if g % 2 == 0 { 0xf0 } else { 0x0f };
        }
    }
}
