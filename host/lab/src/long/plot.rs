//! The plot of perplexity by position.

use super::Series;
use crate::{Error, Result};
use plotters::prelude::*;
use std::ops::Range;

/// Width and height in pixels.
const SIZE: (u32, u32) = (960, 540);
/// Colours that are told apart in grey, too.
const COLOURS: [RGBColor; 3] = [RGBColor(0, 90, 181), RGBColor(220, 50, 32), RGBColor(90, 90, 90)];

/// Lines of `series` over the position, perplexity on a logarithmic scale.
///
/// # Errors
/// Nothing to draw.
pub fn svg(title: &str, series: &[Series]) -> Result<String> {
    let values = || series.iter().flat_map(|s| &s.buckets).filter(|b| b.ppl.is_finite());
    let last =
        values().map(|b| b.to).max().ok_or_else(|| Error::Argument("there is nothing to plot".into()))?;
    let low = values().map(|b| b.ppl).fold(f64::INFINITY, f64::min);
    let high = values().map(|b| b.ppl).fold(low, f64::max);
    let mut text = String::new();
    draw(title, series, last, low / 1.25..high * 1.25, &mut text)
        .map_err(|e| Error::Argument(format!("cannot draw the plot: {e}")))?;
    Ok(text)
}

fn draw(
    title: &str,
    series: &[Series],
    last: usize,
    scale: Range<f64>,
    text: &mut String,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(0..last, scale.log_scale())?;
    chart
        .configure_mesh()
        .x_desc("position in the text (tokens)")
        .y_desc("perplexity (log scale)")
        .axis_desc_style(("sans-serif", 16))
        .label_style(("sans-serif", 14))
        .light_line_style(RGBColor(240, 240, 240))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (s, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let points = s.buckets.iter().filter(|b| b.ppl.is_finite()).map(|b| ((b.from + b.to) / 2, b.ppl));
        chart
            .draw_series(LineSeries::new(points, style).point_size(2))?
            .label(s.label())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 24, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(180, 180, 180))
        .legend_area_size(32)
        .label_font(("sans-serif", 15))
        .draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Bucket;
    use super::*;

    #[test]
    fn well_formed_and_labelled() {
        let series = |attention, scale: f64| Series {
            attention,
            sinks: 4,
            window: 1020,
            tokens: 4096,
            ppl: 20.0,
            cache_bytes: 1,
            buckets: (0..8)
                .map(|i| Bucket {
                    from: i * 512,
                    to: i * 512 + 512,
                    ppl: scale * (20.0 + i as f64),
                    tok_per_s: 1.0,
                })
                .collect(),
        };
        let all = [series("lambda", 1.0), series("window", 50.0), series("full", 0.9)];
        let text = svg("a < b & c", &all).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap();
        let words: Vec<&str> = document.descendants().filter_map(|n| n.text()).map(str::trim).collect();
        for part in [
            "a < b & c",
            "position in the text (tokens)",
            "perplexity (log scale)",
            "4 sinks + window 1020",
            "full attention",
        ] {
            assert!(words.iter().any(|w| w.contains(part)), "{part}: {words:?}");
        }
        let lines = document.descendants().filter(|n| n.has_tag_name("polyline")).count();
        assert!(lines >= 3, "{lines} lines");
        assert!(svg("nothing", &[]).is_err());
    }
}
