//! The port list of a generated model, read from its C++ header.

use std::fmt::Write;

/// One port as declared in `Vmodel.h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// SystemVerilog name.
    pub name: String,
    /// C++ member name.
    pub field: String,
    /// Bits per element.
    pub bits: u32,
    /// Elements of an unpacked array, 1 otherwise.
    pub elements: u32,
    /// 0 input, 1 output, 2 inout, 3 not stated (unpacked arrays).
    pub direction: u32,
}

/// Reads every port declaration; lines in other forms (`real`, `string` ports) are left out.
pub fn parse(header: &str) -> Vec<Declared> {
    let body = header.split("// PORTS").nth(1).unwrap_or_default();
    let body = body.split("// CELLS").next().unwrap_or_default();
    body.lines().filter_map(|line| macro_port(line.trim()).or_else(|| array_port(line.trim()))).collect()
}

/// The `#include`d table for the C++ side.
pub fn table(ports: &[Declared]) -> String {
    let mut text = String::new();
    for p in ports {
        let name = p.name.replace('\\', "\\\\").replace('"', "\\\"");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "ACCLLM_PORT(\"{name}\", {}, {}, {}, {})",
            p.field, p.bits, p.elements, p.direction
        );
    }
    text
}

/// `VL_IN8(&name,7,0);`, `VL_OUTW(&name,511,0,16);` and, in older releases, `VL_IN8((&name)[4],7,0);`.
fn macro_port(line: &str) -> Option<Declared> {
    let rest = line.strip_prefix("VL_")?;
    let (kind, args) = rest.strip_suffix(");")?.split_once('(')?;
    let direction = match kind.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'W') {
        "IN" => 0,
        "OUT" => 1,
        "INOUT" => 2,
        _ => return None,
    };
    let mut args = args.split(',');
    let declarator = args.next()?.trim();
    let high: i64 = args.next()?.trim().parse().ok()?;
    let low: i64 = args.next()?.trim().parse().ok()?;
    let (declarator, dimensions) = match declarator.split_once('[') {
        Some((name, dims)) => (name, dims),
        None => (declarator, ""),
    };
    let mut elements = 1u32;
    for dim in dimensions.split(['[', ']']).filter(|d| !d.is_empty()) {
        elements = elements.checked_mul(dim.parse().ok()?)?;
    }
    let field = declarator.trim_matches(['(', ')', '&']).to_owned();
    let bits = u32::try_from((high - low).abs() + 1).ok()?;
    Some(Declared { name: decode(&field), field, bits, elements, direction })
}

/// `VlUnpacked<VlUnpacked<VlWide<16>/*511:0*/, 2>, 3> &name;`
fn array_port(line: &str) -> Option<Declared> {
    if !line.starts_with("VlUnpacked<") {
        return None;
    }
    let (kind, field) = line.strip_suffix(';')?.rsplit_once('&')?;
    let (_, rest) = kind.split_once("/*")?;
    let (range, dimensions) = rest.split_once("*/")?;
    let (high, low) = range.split_once(':')?;
    let high: i64 = high.parse().ok()?;
    let low: i64 = low.parse().ok()?;
    let mut elements = 1u32;
    for dim in dimensions.split([',', '>']).map(str::trim).filter(|d| !d.is_empty()) {
        elements = elements.checked_mul(dim.parse().ok()?)?;
    }
    let bits = u32::try_from((high - low).abs() + 1).ok()?;
    Some(Declared { name: decode(field), field: field.to_owned(), bits, elements, direction: 3 })
}

/// Undoes Verilator's name encoding: `__0XX` stands for the character with that hexadecimal code.
fn decode(field: &str) -> String {
    let mut out = String::new();
    let mut rest = field;
    while let Some(c) = rest.chars().next() {
        let code =
            rest.strip_prefix("__0").and_then(|r| r.get(..2)).and_then(|h| u8::from_str_radix(h, 16).ok());
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[5..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let header = "\n    // PORTS\n    VL_IN8(&clk,0,0);\n    VL_OUTW(&a___05Fb,511,0,16);\n    \
            VL_IN(&d,7,30);\n    VL_IN64((&q)[2][3],63,0);\n    VlUnpacked<CData/*7:0*/, 3> &arr;\n    \
            VlUnpacked<VlUnpacked<VlWide<16>/*511:0*/, 2>, 3> &warr;\n    double &r;\n    // CELLS\n    VL_IN8(&no,0,0);";
        let got: Vec<_> =
            parse(header).into_iter().map(|p| (p.name, p.bits, p.elements, p.direction)).collect();
        let want = [
            ("clk", 1, 1, 0),
            ("a__b", 512, 1, 1),
            ("d", 24, 1, 0),
            ("q", 64, 6, 0),
            ("arr", 8, 3, 3),
            ("warr", 512, 6, 3),
        ];
        let want: Vec<_> = want.into_iter().map(|(n, b, e, d)| (n.to_owned(), b, e, d)).collect();
        assert_eq!(got, want);
    }
}
