//! Text to instruction.

use crate::error::{Error, Result};
use accllm_hw::isa::{Instr, OPS, REGISTERS, SEMAPHORES};

type Parse<T> = std::result::Result<T, String>;

fn number(text: &str, limit: u64, what: &str) -> Parse<u64> {
    let value = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    match value {
        Ok(v) if v <= limit => Ok(v),
        Ok(v) => Err(format!("{what} = {v} is above {limit}")),
        Err(_) => Err(format!("{what}: '{text}' is not a number")),
    }
}

/// `R5+0x10`, `R5` or a number.
fn operand(text: &str, limit: u64, what: &str) -> Parse<(u64, u8)> {
    let Some(rest) = text.strip_prefix('R') else {
        return Ok((number(text, limit, what)?, 0));
    };
    let (register, immediate) = rest.split_once('+').unwrap_or((rest, "0"));
    let register = number(register, REGISTERS as u64 - 1, "register")?;
    Ok((number(immediate, limit, what)?, register as u8))
}

fn semaphores(text: &str) -> Parse<[u8; 2]> {
    let one = |t: &str| number(t, SEMAPHORES as u64, "semaphore").map(|v| v as u8);
    match text.split_once(',') {
        Some((a, b)) => Ok([one(a)?, one(b)?]),
        None => Ok([one(text)?, 0]),
    }
}

fn field(i: &mut Instr, name: &str, text: &str) -> Parse<()> {
    let (word, half, byte) = (u64::from(u32::MAX), u64::from(u16::MAX), u64::from(u8::MAX));
    if let Some(at) = ["a", "b", "c", "n", "m"].iter().position(|n| *n == name) {
        let (v, register) = operand(text, if at < 3 { word } else { half }, name)?;
        i.regs[at] = register;
        match at {
            0 => i.a = v as u32,
            1 => i.b = v as u32,
            2 => i.c = v as u32,
            3 => i.n = v as u16,
            _ => i.m = v as u16,
        }
        return Ok(());
    }
    match name {
        "k" => i.k = number(text, half, name)? as u16,
        "sh" => i.sh = number(text, byte, name)? as u8,
        "x" => i.x = number(text, byte, name)? as u8,
        "aux" => i.aux = number(text, word, name)? as u32,
        "flags" => i.flags = number(text, byte, name)? as u8,
        "wait" => i.wait = semaphores(text)?,
        "sig" => i.signal = semaphores(text)?,
        "pfw" => i.prefetch_wait = number(text, SEMAPHORES as u64, "semaphore")? as u8,
        _ => {
            return Err(format!(
                "there is no field '{name}'; fields are a b c n m k sh x aux flags wait sig pfw"
            ));
        }
    }
    Ok(())
}

/// One line; `None` where it holds no instruction.
///
/// # Errors
/// What is wrong, without the line number.
pub fn assemble_line(line: &str) -> Parse<Option<Instr>> {
    let code = line.split(';').next().unwrap_or("");
    let mut words = code.split_whitespace();
    let Some(name) = words.next() else {
        return Ok(None);
    };
    let Some(info) = OPS.iter().find(|o| o.name == name) else {
        let names: Vec<_> = OPS.iter().map(|o| o.name).collect();
        return Err(format!("there is no instruction '{name}'; there are {}", names.join(" ")));
    };
    let mut i = Instr { op: info.op as u8, ..Instr::default() };
    let mut seen = Vec::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(format!("'{word}' is not field=value"));
        };
        if seen.contains(&name) {
            return Err(format!("field '{name}' is given twice"));
        }
        seen.push(name);
        field(&mut i, name, value)?;
    }
    i.check(info.op).map_err(|e| e.to_string())?;
    Ok(Some(i))
}

/// A whole program.
///
/// # Errors
/// The first line that is not an instruction.
pub fn assemble(text: &str) -> Result<Vec<Instr>> {
    let mut code = Vec::new();
    for (n, line) in text.lines().enumerate() {
        code.extend(assemble_line(line).map_err(|what| Error::Asm { line: n + 1, what })?);
    }
    Ok(code)
}
