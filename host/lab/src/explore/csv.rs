//! Tables as CSV (RFC 4180).

use csv_core::{ReadFieldResult, Reader};

/// Appends a line.
pub fn push_line<S: AsRef<str>>(out: &mut String, cells: impl IntoIterator<Item = S>) {
    for (i, cell) in cells.into_iter().enumerate() {
        let cell = cell.as_ref();
        if i > 0 {
            out.push(',');
        }
        match cell.contains(['"', ',', '\n', '\r']) {
            true => *out += &format!("\"{}\"", cell.replace('"', "\"\"")),
            false => *out += cell,
        }
    }
    out.push('\n');
}

/// Calls `each` with the cells of every line.
pub fn lines(text: &[u8], mut each: impl FnMut(Vec<String>)) {
    let (mut reader, mut rest, mut out) = (Reader::new(), text, [0; 256]);
    let (mut field, mut cells) = (Vec::new(), Vec::new());
    loop {
        let (result, taken, given) = reader.read_field(rest, &mut out);
        rest = &rest[taken..];
        field.extend_from_slice(&out[..given]);
        match result {
            // An empty rest tells the reader that the text is over.
            ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
            ReadFieldResult::Field { record_end } => {
                cells.push(String::from_utf8_lossy(&field).into_owned());
                field.clear();
                if record_end {
                    each(std::mem::take(&mut cells));
                }
            }
            ReadFieldResult::End => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(table in prop::collection::vec(prop::collection::vec("[a,\"\n\r é]{0,300}", 2..5), 0..6)) {
            let mut text = String::new();
            table.iter().for_each(|line| push_line(&mut text, line));
            let mut found = Vec::new();
            lines(text.as_bytes(), |line| found.push(line));
            prop_assert_eq!(found, table);
        }
    }
}
