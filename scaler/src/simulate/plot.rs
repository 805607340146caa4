//! Runs as a picture: what was needed, what served, and how long requests took.

use std::fmt::Write;

use super::run::{Moment, Run};
use super::world::World;

/// Colours that differ for most eyes, too: Okabe and Ito's.
const COLOURS: [&str; 6] = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 944.0;

/// The heights of the two panels.
const PODS: f64 = 260.0;
const LATENCY: f64 = 170.0;

/// The picture shows pods up to this many times what is needed at most.
const MOST_ABOVE: u32 = 3;

/// The most steps along the time.
const COLUMNS: usize = 880;

/// An SVG picture of `runs` over the same curve: above, the pods that were needed (grey) and those
/// that served, below, the response time that 99 % of the requests stayed below, both over time.
/// Six runs have colours of their own.
pub fn plot(title: &str, world: &World, runs: &[&Run]) -> String {
    let legend = 20.0 * runs.len() as f64;
    let pods = Panel { top: 76.0 + legend, height: PODS };
    let latency = Panel { top: pods.top + PODS + 44.0, height: LATENCY };
    let height = latency.top + LATENCY + 44.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    text(&mut svg, LEFT, 24.0, "font-size=\"16\" font-weight=\"bold\"", title);
    let start = 46.0;
    let swatch =
        format!("<path d=\"M{LEFT} {}h22\" stroke-width=\"8\" stroke=\"#DDD\"/>\n", start - 4.0);
    svg.push_str(&swatch);
    text(&mut svg, LEFT + 30.0, start, "", "pods needed: 99 % of the requests in time");
    for (place, run) in runs.iter().enumerate() {
        let y = start + 20.0 * (place + 1) as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {}h22\" stroke-width=\"3\" stroke=\"{}\"/>",
            y - 4.0,
            colour(place)
        );
        text(&mut svg, LEFT + 30.0, y, "", &run.to_string());
    }
    draw_pods(&mut svg, &pods, runs);
    draw_latency(&mut svg, &latency, world, runs);
    svg.push_str("</svg>\n");
    svg
}

/// A rectangle to draw in, as wide as the picture.
struct Panel {
    top: f64,
    height: f64,
}

impl Panel {
    /// Where `part` (0 to 1) of the height is.
    fn y(&self, part: f64) -> f64 {
        self.top + self.height * (1.0 - part.clamp(0.0, 1.0))
    }

    /// The frame, the name of what goes up, and the time below.
    fn frame(&self, svg: &mut String, name: &str, length: f64) {
        text(svg, LEFT, self.top - 8.0, "fill=\"#444\"", name);
        let bottom = self.top + self.height;
        let (unit, seconds) = match length {
            length if length > 4.0 * 86_400.0 => ("days", 86_400.0),
            length if length > 2.0 * 3600.0 => ("hours", 3600.0),
            _ => ("minutes", 60.0),
        };
        let step = nice(length / seconds / 8.0);
        let mut at = 0.0;
        while at * seconds <= length && step > 0.0 {
            let x = LEFT + (RIGHT - LEFT) * at * seconds / length;
            let _ = writeln!(svg, "<path d=\"M{x:.1} {bottom}v4\" stroke=\"#444\"/>");
            let label = format!("{}", (at * 100.0).round() / 100.0);
            text(svg, x, bottom + 17.0, "text-anchor=\"middle\" fill=\"#444\"", &label);
            at += step;
        }
        text(
            svg,
            RIGHT,
            bottom + 32.0,
            "text-anchor=\"end\" fill=\"#444\"",
            &format!("time, {unit}"),
        );
        let _ = writeln!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#444\"/>",
            self.top,
            RIGHT - LEFT,
            self.height
        );
    }

    /// A line across at `part`, with a label.
    fn level(&self, svg: &mut String, part: f64, label: &str) {
        let y = self.y(part);
        let _ = writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"#EEE\"/>");
        text(svg, LEFT - 6.0, y + 4.0, "text-anchor=\"end\" fill=\"#444\"", label);
    }
}

fn draw_pods(svg: &mut String, panel: &Panel, runs: &[&Run]) {
    let moments = || runs.iter().flat_map(|run| &run.timeline);
    let needed = moments().map(|m| m.needed).max().unwrap_or(1).max(1);
    let most = moments().map(|m| m.ready).max().unwrap_or(1).max(needed);
    // One that overshoots by far must not press all others flat.
    let cut = needed.saturating_mul(MOST_ABOVE);
    let name = match most > cut {
        true => format!("pods that serve (cut at {cut}; the most is {most})"),
        false => "pods that serve".to_owned(),
    };
    let most = most.min(cut);
    let step = nice(f64::from(most) / 5.0).max(1.0);
    let top = if most == cut { f64::from(cut) } else { (f64::from(most) / step).ceil() * step };
    let mut level = 0.0;
    while level <= top {
        panel.level(svg, level / top, &format!("{level}"));
        level += step;
    }
    if let Some(run) = runs.first() {
        let line = steps(panel, run, |m| f64::from(m.needed) / top, f64::max);
        let (x, bottom) = (LEFT, panel.y(0.0));
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {bottom}{}V{bottom}z\" fill=\"#DDD\"/>",
            &line.replacen('M', "L", 1)
        );
    }
    for (place, run) in runs.iter().enumerate() {
        let line = steps(panel, run, |m| f64::from(m.ready) / top, f64::min);
        stroke(svg, &line, place);
    }
    panel.frame(svg, &name, length(runs));
}

fn draw_latency(svg: &mut String, panel: &Panel, world: &World, runs: &[&Run]) {
    let moments = || runs.iter().flat_map(|run| &run.timeline);
    let (fast, slo) = (world.service.service_time.as_secs_f64(), world.service.slo.as_secs_f64());
    let worst = moments().map(|m| m.latency_p99).fold(2.0 * slo, f64::max);
    let (low, high) = (fast.min(slo).log10().floor(), worst.log10().ceil());
    let part = |seconds: f64| (seconds.max(1e-9).log10() - low) / (high - low);
    let mut power = low;
    while power <= high {
        let label = match 10f64.powf(power) {
            small if small < 1.0 => format!("{:.0} ms", small * 1000.0),
            large => format!("{large:.0} s"),
        };
        panel.level(svg, (power - low) / (high - low), &label);
        power += 1.0;
    }
    for (place, run) in runs.iter().enumerate() {
        let line = steps(panel, run, |m| part(m.latency_p99), f64::max);
        stroke(svg, &line, place);
    }
    let y = panel.y(part(slo));
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"black\" stroke-dasharray=\"6 4\"/>"
    );
    let label = format!("objective: {:.0} ms", slo * 1000.0);
    text(svg, RIGHT - 6.0, y - 5.0, "text-anchor=\"end\"", &label);
    panel.frame(svg, "response time, P99, logarithmic", length(runs));
}

/// A run's course as steps: one value a column, `merge`d from its moments, drawn where it changes.
fn steps(
    panel: &Panel,
    run: &Run,
    value: impl Fn(&Moment) -> f64,
    merge: impl Fn(f64, f64) -> f64,
) -> String {
    let each = run.timeline.len().div_ceil(COLUMNS).max(1);
    let columns = run.timeline.len().div_ceil(each).max(1);
    let wide = (RIGHT - LEFT) / columns as f64;
    let (mut line, mut x, mut last) = (String::new(), LEFT, String::new());
    for chunk in run.timeline.chunks(each) {
        let merged = chunk.iter().map(&value).reduce(&merge).unwrap_or(0.0);
        let y = format!("{:.1}", panel.y(merged));
        if line.is_empty() {
            let _ = write!(line, "M{x:.1} {y}");
        } else if y != last {
            let _ = write!(line, "H{x:.1}V{y}");
        }
        (x, last) = (x + wide, y);
    }
    let _ = write!(line, "H{x:.1}");
    line
}

fn stroke(svg: &mut String, line: &str, place: usize) {
    let colour = colour(place);
    let _ = writeln!(
        svg,
        "<path d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>"
    );
}

fn colour(place: usize) -> &'static str {
    COLOURS.get(place % COLOURS.len()).copied().unwrap_or("black")
}

fn length(runs: &[&Run]) -> f64 {
    let ends = runs.iter().filter_map(|run| run.timeline.last());
    ends.map(|moment| moment.at.as_secs_f64()).fold(1.0, f64::max)
}

/// The next of 1, 2, 5, 10, … that is not below.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.max(1e-9).log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step);
    factor.unwrap_or(10.0) * power
}

fn text(svg: &mut String, x: f64, y: f64, attributes: &str, text: &str) {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{escaped}</text>");
}
