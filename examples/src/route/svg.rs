//! The route tree as a picture: columns by depth, siblings from top to bottom in the order in which they are asked.

use std::fmt::Write as _;

use super::show::{Drawn, DrawnNode, Fate};

/// A box, in units of the picture.
const WIDTH: usize = 330;
const HEIGHT: usize = 58;
/// Between columns, and between boxes of one column.
const ACROSS: usize = 56;
const DOWN: usize = 16;
const MARGIN: usize = 24;
const TITLE: usize = 44;
/// A character of the font, a little more than it is.
const CHARACTER: usize = 8;
const PADDING: usize = 12;

/// Where the middle of a box is.
struct Place {
    x: usize,
    y: usize,
}

pub(super) fn draw(drawn: &Drawn<'_>) -> String {
    let mut places: Vec<Place> = drawn.nodes.iter().map(|_| Place { x: 0, y: 0 }).collect();
    let mut next = MARGIN + TITLE;
    place(drawn, 0, 0, &mut next, &mut places);
    let right = places.iter().map(|place| place.x + WIDTH).max().unwrap_or(WIDTH);
    let title = title(drawn);
    let width = MARGIN + right.max(MARGIN + CHARACTER * 60);
    let height = next - DOWN + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n"
    );
    svg.push_str(STYLE);
    let _ = writeln!(svg, "<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
    let fitting = (width - 2 * MARGIN) / CHARACTER;
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"{}\">{}{}</text>",
        MARGIN + 12,
        tooltip(&title),
        escaped(&shortened(&title, fitting))
    );
    // Lines first, and those of the way last among them, so that nothing covers what matters.
    for on_way in [false, true] {
        for (node, to) in drawn.nodes.iter().zip(&places) {
            let from = node.route.parent().and_then(|parent| places.get(parent as usize));
            let (Some(from), true) = (from, on_way == is_on_way(node)) else { continue };
            line(&mut svg, node, from, to);
        }
    }
    for (node, place) in drawn.nodes.iter().zip(&places) {
        boxed(&mut svg, node, place);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Puts a node and all below it under what is there; returns the middle of its box.
fn place(
    drawn: &Drawn<'_>,
    number: usize,
    depth: usize,
    next: &mut usize,
    places: &mut [Place],
) -> usize {
    let children = drawn.nodes.get(number).map(|node| node.route.children()).unwrap_or_default();
    let middles: Vec<usize> = children
        .iter()
        .map(|child| place(drawn, *child as usize, depth + 1, next, places))
        .collect();
    let middle = match (middles.first(), middles.last()) {
        (Some(first), Some(last)) => usize::midpoint(*first, *last),
        _ => {
            let middle = *next + HEIGHT / 2;
            *next += HEIGHT + DOWN;
            middle
        }
    };
    if let Some(place) = places.get_mut(number) {
        *place = Place { x: MARGIN + depth * (WIDTH + ACROSS), y: middle };
    }
    middle
}

fn is_on_way(node: &DrawnNode<'_>) -> bool {
    matches!(node.fate, Fate::Takes | Fate::Passes)
}

fn class(fate: Fate) -> &'static str {
    match fate {
        Fate::None => "plain",
        Fate::Takes => "takes",
        Fate::Passes => "passes",
        Fate::Beside => "beside",
    }
}

fn line(svg: &mut String, node: &DrawnNode<'_>, from: &Place, to: &Place) {
    let (begin, bend) = (from.x + WIDTH, from.x + WIDTH + ACROSS / 2);
    let class = if is_on_way(node) { "way" } else { "line" };
    let _ = writeln!(
        svg,
        "<path class=\"{class}\" d=\"M{begin} {} H{bend} V{} H{}\"/>",
        from.y, to.y, to.x
    );
}

fn boxed(svg: &mut String, node: &DrawnNode<'_>, place: &Place) {
    let (x, top) = (place.x, place.y - HEIGHT / 2);
    let fitting = (WIDTH - 2 * PADDING) / CHARACTER;
    let name = if node.matchers.is_empty() { "every alert" } else { &node.matchers };
    let receivers = format!("→ {}", node.receivers);
    let settings = node.settings.join(", ");
    let mut whole = format!("{}\n{name}\n{receivers}", node.route.path());
    for line in
        [(!settings.is_empty()).then_some(&settings), node.why.as_ref()].into_iter().flatten()
    {
        let _ = write!(whole, "\n{line}");
    }
    let dashed = if node.route.continues() { " continues" } else { "" };
    let _ = writeln!(svg, "<g class=\"{}{dashed}\">{}", class(node.fate), tooltip(&whole));
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>"
    );
    for (row, (class, text)) in
        [("matchers", name), ("receivers", &receivers), ("settings", &settings)]
            .into_iter()
            .enumerate()
    {
        let text = escaped(&shortened(text, fitting));
        let (x, y) = (x + PADDING, top + 18 + 16 * row);
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
    }
    svg.push_str("</g>\n");
}

fn title(drawn: &Drawn<'_>) -> String {
    match &drawn.labels {
        None => "Who hears of what: the first match of each level, from top to bottom; dashed boxes go on".into(),
        Some(labels) => format!("{labels} → {}", drawn.receivers.join(", ")),
    }
}

/// What a pointer shows.
fn tooltip(text: &str) -> String {
    format!("<title>{}</title>", escaped(text))
}

/// As much of `text` as fits into so many columns. Characters beyond Latin, Greek and Cyrillic count double.
fn shortened(text: &str, columns: usize) -> String {
    let wide = |c: char| if c >= '\u{1100}' && c != '→' && c != '…' { 2 } else { 1 };
    if text.chars().map(wide).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let mut short: String = text
        .chars()
        .take_while(|c| {
            let fits = wide(*c) <= left;
            left = left.saturating_sub(wide(*c));
            fits
        })
        .collect();
    short.push('…');
    short
}

/// What XML takes for itself, and what it does not take at all.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "<style>
text { font: 12px 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1b1f24; }
.title { font-size: 13px; font-weight: bold; }
.paper { fill: #ffffff; }
.matchers { font-weight: bold; }
.settings { fill: #57606a; font-size: 11px; }
g rect { fill: #f6f8fa; stroke: #8c959f; }
.continues rect { stroke-dasharray: 6 4; }
.takes rect { fill: #b4f1c2; stroke: #116329; stroke-width: 3; }
.takes .settings, .passes .settings { fill: #2f4a38; }
.passes rect { fill: #e6f9ea; stroke: #1a7f37; stroke-width: 2; }
.beside text { fill: #6e7781; }
.beside rect { fill: #fbfcfd; stroke: #d0d7de; }
.line { fill: none; stroke: #b6bec7; }
.way { fill: none; stroke: #1a7f37; stroke-width: 3; }
</style>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_shortened_by_what_is_seen() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
        assert_eq!(shortened("日本語", 6), "日本語");
        assert_eq!(shortened("日本語x", 6), "日本…");
    }

    #[test]
    fn nothing_breaks_out_of_the_markup() {
        assert_eq!(escaped("a<b>\"&\u{1b}"), "a&lt;b&gt;&quot;&amp;\u{fffd}");
    }
}
