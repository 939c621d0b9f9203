//! Power: what it is made of, and published figures in its range.

use accllm_hw::{card, config};
use accllm_lab::cost::{Activity, COEFFICIENTS, Energy, PUBLISHED, Range, area, energy};

fn of(activity: Activity) -> Energy {
    energy(config::find("u280").unwrap(), &activity, card::find("u280").unwrap())
}

fn watts(energy: &Energy, part: &str) -> Range {
    energy.parts.iter().find(|p| p.part == part).unwrap_or_else(|| panic!("no {part}")).watts
}

/// A token of llama2-7b with 2048 before it, as docs/performance.md has it: 1.07 million cycles, 93% of them with a
/// beat at each channel.
const TOKEN: Activity = Activity {
    cycles: 1.07e6,
    mat_busy: 0.9e6,
    vec_busy: 0.3e6,
    channel_beats: 32.0 * 0.93e6,
    beats_read: 32.0 * 0.93e6,
    aux_beats: 500.0,
    formats: [0.75, 0.05, 0.2],
};

#[test]
fn coefficients_are_sound() {
    for (name, c) in &*COEFFICIENTS {
        assert!(c.range().sound() && c.low > 0.0, "{name}");
        assert!(["pJ", "fJ", "pJ/bit", "share"].contains(&&c.unit[..]), "{name}: {}", c.unit);
        assert!(c.source.len() > 10, "{name} has no source");
    }
}

#[test]
fn power_is_rest_and_what_happens() {
    let rest = of(Activity { cycles: 225e6, ..Activity::default() });
    let idle = &card::find("u280").unwrap().idle;
    assert!((watts(&rest, "card at rest").value - idle.value).abs() < 1e-9);
    // A second at the configuration's clock.
    assert!((rest.joules.value - rest.watts.value).abs() < 1e-9);
    // By hand: 20 fJ for each flip-flop of the engine and of the paths to memory.
    let ff = area(config::find("u280").unwrap()).total.ff + card::find("u280").unwrap().added.total().ff;
    assert!((watts(&rest, "clock").value - 20e-15 * ff * 225e6).abs() < 1e-9);
    for part in ["channel memory", "auxiliary memory", "multipliers", "UltraRAM", "block RAM"] {
        assert_eq!(watts(&rest, part), Range::default(), "{part}");
    }
    // 14.4 GB/s at each of 32 channels: 4.4 pJ a bit.
    let beats = 32.0 * 225e6;
    let full = of(Activity { cycles: 225e6, channel_beats: beats, ..Activity::default() });
    assert!((watts(&full, "channel memory").value - 460.8e9 * 8.0 * 4.4e-12).abs() < 1e-6);
}

#[test]
fn a_token_is_the_sum_of_its_parts_and_grows_with_each() {
    let base = of(TOKEN);
    assert!(base.watts.sound() && base.parts.iter().all(|p| p.watts.sound()));
    let sum: Range = base.parts.iter().map(|p| p.watts).sum();
    assert!((sum.value - base.watts.value).abs() < 1e-9);
    assert!((25.0..80.0).contains(&base.watts.value), "{}", base.watts);
    for more in [
        Activity { mat_busy: 1.0e6, ..TOKEN },
        Activity { vec_busy: 0.5e6, ..TOKEN },
        Activity { channel_beats: 33.0 * 0.93e6, ..TOKEN },
        Activity { beats_read: 33.0 * 0.93e6, ..TOKEN },
        Activity { aux_beats: 1e6, ..TOKEN },
        Activity { formats: [0.7, 0.1, 0.2], ..TOKEN },
    ] {
        let more = of(more);
        assert!(more.joules.low > base.joules.low && more.joules.high > base.joules.high);
    }
}

#[test]
fn runs_one_after_the_other_add_up() {
    let other = Activity { cycles: 2e6, formats: [0.2, 0.3, 0.5], ..TOKEN };
    let (a, b, both) = (of(TOKEN), of(other), of(TOKEN.and(&other)));
    assert!((a.joules.value + b.joules.value - both.joules.value).abs() < 1e-9 * both.joules.value);
    assert!((both.watts.value * 3.07e6 / 225e6 - both.joules.value).abs() < 1e-9);
}

/// What others measured of cards is within what the estimate says of their designs, or of a card at rest and ours.
#[test]
fn published_power_is_in_the_range() {
    let card = card::find("u280").unwrap();
    let mut compared = 0;
    for system in PUBLISHED.iter().filter(|s| s.basis.contains("card")) {
        if let Some(design) = &system.design {
            let watts = design.power(card).watts;
            assert!(watts.holds(system.watts), "{}: {watts}, published {}", system.name, system.watts);
            compared += 1;
        }
        assert!(system.watts > card.idle.low, "{}: less than a card at rest", system.name);
    }
    assert!(compared > 0);
}
