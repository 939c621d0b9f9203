//! RoPE in a `config.json`: base, scaling, and what scaling multiplies scores with.

use super::fields::Fields;
use crate::{Error, Result};
use accllm_hw::rope::{Divisors, MAX_PAIRS, Rope, Scaling};
use serde_json::Value;

/// RoPE's base and scaling for heads of so many pairs: `rope_theta` with `rope_scaling`, or all of it in
/// `rope_parameters`.
pub(super) fn rope(f: &Fields<'_>, pairs: usize) -> Result<Rope> {
    let mut rope = Rope::plain(10_000.0);
    let mut theta = None;
    let mut scaling: Option<(&str, Option<Scaling>)> = None;
    let differs = |name: &str, found: String, other: String| {
        let why =
            format!("says {found}, and {other}; they contradict each other, so leave the wrong one out");
        Err(Error::config(f.path, name, why))
    };
    for name in ["rope_theta", "rope_scaling", "rope_parameters"] {
        let Some(v) = f.get(name) else { continue };
        let of = match v {
            Value::Object(map) if name != "rope_theta" => {
                let inner = Fields { path: f.path, map };
                if let Some(new) = scaling_of(&inner, name, pairs)? {
                    match scaling {
                        Some((other, old)) if old != new => {
                            return differs(name, format!("{new:?}"), format!("{other} says {old:?}"));
                        }
                        _ => scaling = Some((name, new)),
                    }
                }
                inner.get("rope_theta").map(|_| inner.positive("rope_theta", 1.0)).transpose()?
            }
            _ if name == "rope_theta" => Some(f.positive(name, 1.0)?),
            _ => return Err(Error::config(f.path, name, format!("is {v}; expected an object or null"))),
        };
        match (of, theta) {
            (Some(new), Some((other, old))) if new != old => {
                return differs(name, format!("rope_theta {new}"), format!("{other} says {old}"));
            }
            (Some(new), _) => theta = Some((name, new)),
            (None, _) => {}
        }
    }
    if let Some((_, value)) = theta {
        rope.theta = value;
    }
    rope.scaling = scaling.and_then(|(_, s)| s);
    rope.check().map_err(|(field, why)| Error::config(f.path, field, why))?;
    Ok(rope)
}

/// The scaling that an object states; `None` where it states none, `Some(None)` where it states that there is none.
fn scaling_of(inner: &Fields<'_>, name: &str, pairs: usize) -> Result<Option<Option<Scaling>>> {
    let number = |field: &str| match inner.get(field) {
        Some(_) => inner.positive(field, 1.0),
        None => {
            Err(Error::config(inner.path, format!("{name}.{field}"), "is missing; expected a number above 0"))
        }
    };
    let kind = inner.get("rope_type").or_else(|| inner.get("type"));
    Ok(Some(match kind.map(Value::as_str) {
        None => return Ok(None),
        Some(Some("default")) => None,
        Some(Some("linear")) => Some(Scaling::Linear { factor: number("factor")? }),
        Some(Some("llama3")) => Some(Scaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: number("original_max_position_embeddings")?,
        }),
        Some(Some("yarn")) => Some(Scaling::Yarn {
            factor: number("factor")?,
            beta_fast: inner.positive("beta_fast", 32.0)?,
            beta_slow: inner.positive("beta_slow", 1.0)?,
            original_max_position_embeddings: number("original_max_position_embeddings")?,
            truncate: inner.flag("truncate", true)?,
        }),
        // "su" is its first name. The long divisors are for texts beyond the trained positions, which sinks and window
        // do not reach.
        Some(Some("longrope" | "su")) => {
            inner.positives("long_factor", pairs)?;
            let short = inner.positives("short_factor", pairs)?;
            let short: Vec<f32> = short.iter().map(|f| *f as f32).collect();
            let too_many = || {
                let why = format!("has {pairs} numbers; at most {} are taken", MAX_PAIRS);
                Error::config(inner.path, format!("{name}.short_factor"), why)
            };
            Some(Scaling::Longrope { short_factor: Divisors::new(&short).ok_or_else(too_many)? })
        }
        // The base changes only beyond the trained positions, which sinks and window do not reach.
        Some(Some("dynamic")) => None,
        Some(_) => {
            let supported = "null or rope_type \"default\", \"linear\", \"llama3\", \"yarn\", \"longrope\" or \"dynamic\"";
            let found = Value::Object(inner.map.clone());
            return Err(Error::unsupported(inner.path, name, found, supported));
        }
    }))
}

/// Positions that the model was trained for without the scaling.
pub(super) fn original_positions(f: &Fields<'_>, rope: &Rope) -> Result<usize> {
    let all = f.count_opt("max_position_embeddings", 1 << 31)?.unwrap_or(2048);
    match rope.scaling {
        Some(Scaling::Longrope { .. }) => original(f, all),
        _ => Ok(all),
    }
}

/// LongRoPE's original context: in the scaling, or beside it.
fn original(f: &Fields<'_>, all: usize) -> Result<usize> {
    const NAME: &str = "original_max_position_embeddings";
    for name in ["rope_parameters", "rope_scaling"] {
        let Some(Value::Object(map)) = f.get(name) else { continue };
        if let Some(n) = (Fields { path: f.path, map }).count_opt(NAME, 1 << 31)? {
            return Ok(n);
        }
    }
    Ok(f.count_opt(NAME, 1 << 31)?.unwrap_or(all))
}

/// What the scores of queries and keys are multiplied by: the square of what YaRN and LongRoPE multiply both with.
pub(super) fn score_factor(f: &Fields<'_>) -> Result<f64> {
    for name in ["rope_parameters", "rope_scaling"] {
        let Some(Value::Object(map)) = f.get(name) else { continue };
        let inner = Fields { path: f.path, map };
        let kind = inner.get("rope_type").or_else(|| inner.get("type"));
        match kind.and_then(Value::as_str) {
            Some("yarn") => return Ok(yarn_factor(&inner)?.powi(2)),
            Some("longrope" | "su") => return Ok(longrope_factor(f, &inner)?.powi(2)),
            _ => {}
        }
    }
    Ok(1.0)
}

/// What LongRoPE multiplies queries and keys with.
fn longrope_factor(f: &Fields<'_>, inner: &Fields<'_>) -> Result<f64> {
    if inner.get("attention_factor").is_some() {
        return inner.positive("attention_factor", 1.0);
    }
    let all = f.count_opt("max_position_embeddings", 1 << 31)?.unwrap_or(2048);
    let context = original(f, all)? as f64;
    let factor = inner.positive("factor", all as f64 / context)?;
    Ok(if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / context.ln()).sqrt() })
}

/// What YaRN multiplies queries and keys with.
fn yarn_factor(f: &Fields<'_>) -> Result<f64> {
    let factor = f.positive("factor", 1.0)?;
    let of = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    let optional = |name: &str| f.get(name).map(|_| f.positive(name, 1.0)).transpose();
    Ok(match (optional("attention_factor")?, optional("mscale")?, optional("mscale_all_dim")?) {
        (Some(stated), _, _) => stated,
        (None, Some(scale), Some(all)) => of(scale) / of(all),
        _ => of(1.0),
    })
}
