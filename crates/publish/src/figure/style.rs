//! The colours and rules of figures: one list, written with variables inside a page and
//! with concrete colours in a file of its own.
//!
//! Blue and vermillion are of the Okabe–Ito palette, darkened until they keep a contrast
//! of 4.5:1 on white; they stay apart in every common form of colour blindness. Grey is
//! always "before" or "control".

/// Name of the variable and its colour on white.
const LIGHT: [(&str, &str); 9] = [
    ("paper", "#ffffff"),
    ("ink", "#15181c"),
    ("muted", "#5d646d"),
    ("grid", "#e3e5e8"),
    ("band", "#f1f3f5"),
    ("c1", "#0a66a3"),
    ("c2", "#c24f06"),
    ("c0", "#868d96"),
    ("soft", "#c9cdd2"),
];

/// The same on near-black.
const DARK: [(&str, &str); 9] = [
    ("paper", "#14171b"),
    ("ink", "#eef0f2"),
    ("muted", "#a3aab3"),
    ("grid", "#2c3137"),
    ("band", "#1c2025"),
    ("c1", "#5cb3ec"),
    ("c2", "#f29a5a"),
    ("c0", "#8b929b"),
    ("soft", "#454b53"),
];

/// Rules; `$name` is a colour.
const RULES: &str = "\
.t,.tm,.tb,.ts,.tx,.t0,.t1,.t2,.th{font-family:'Public Sans',sans-serif;font-size:13px;fill:$ink}
.tb,.t0,.t1,.t2,.th{font-weight:700}
.tm,.ts{fill:$muted}
.ts,.tx{font-size:12px}
.th{font-size:20px}
.b{font-weight:700}
.t0{fill:$muted}
.t1{fill:$c1}
.t2{fill:$c2}
.halo{fill:none;stroke:$paper;stroke-width:5px;stroke-linejoin:round;font-family:'Public Sans',sans-serif;font-size:12px}
.paper{fill:$paper}
.band{fill:$band}
.range{fill:$muted;fill-opacity:.16}
.grid{fill:none;stroke:$grid;stroke-width:1px}
.base{fill:none;stroke:$ink;stroke-width:1px}
.event{fill:none;stroke:$muted;stroke-width:1px;stroke-dasharray:1.5 3}
.rule{fill:none;stroke:$ink;stroke-width:2px}
.l0,.l1,.l2{fill:none;stroke:$c0;stroke-width:2px;stroke-linejoin:round;stroke-linecap:round}
.l1{stroke:$c1;stroke-width:2.75px}
.l2{stroke:$c2}
.thin{stroke-width:1.6px}
.link{fill:none;stroke:$soft;stroke-width:3px;stroke-linecap:round}
.f0{fill:$c0}
.f1{fill:$c1}
.f2{fill:$c2}
.soft{fill:$soft}
.hollow{fill:$paper;stroke:$c2;stroke-width:2px}
.area1{fill:$c1;fill-opacity:.14}
.area2{fill:$c2;fill-opacity:.14}
.area3{fill:$c2;fill-opacity:.6}
.unknown{fill:none;stroke:$c0;stroke-width:1px;stroke-dasharray:3 3}
.h1,.h2,.h3,.h4{fill:$c1}
.h1{fill-opacity:.16}
.h2{fill-opacity:.38}
.h3{fill-opacity:.66}
.h0{fill:none;stroke:$soft;stroke-width:1px}
.land{stroke:$c0;stroke-width:.6px;stroke-linejoin:round;fill-rule:evenodd}
.none{fill:none}
";

/// The rules with concrete colours, for a file that stands alone on white.
pub(crate) fn concrete() -> String {
    let mut rules = RULES.to_owned();
    for (name, colour) in LIGHT {
        rules = rules.replace(&format!("${name}"), colour);
    }
    rules
}

/// The rules with variables, below `scope`, and the variables for both schemes.
pub(crate) fn variables(scope: &str) -> String {
    let mut rules = RULES.to_owned();
    for (name, _) in LIGHT {
        rules = rules.replace(&format!("${name}"), &format!("var(--{name})"));
    }
    let scoped: String = rules
        .lines()
        .map(|rule| {
            let (classes, body) = rule.split_once('{').unwrap_or((rule, "}"));
            let classes: Vec<String> =
                classes.split(',').map(|c| format!("{scope} {c}")).collect();
            format!("{}{{{body}\n", classes.join(","))
        })
        .collect::<Vec<_>>()
        .concat();
    let set = |colours: &[(&str, &str)]| -> String {
        let set = colours.iter().map(|(name, colour)| format!("--{name}:{colour};"));
        set.collect::<Vec<_>>().concat()
    };
    format!(
        ":root{{color-scheme:light dark;{}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n{scoped}",
        set(&LIGHT),
        set(&DARK)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance, as WCAG defines it.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let byte = u8::from_str_radix(colour.get(at..at + 2).unwrap(), 16).unwrap();
            let share = f64::from(byte) / 255.0;
            if share <= 0.040_45 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        0.0722f64.mul_add(part(5), 0.2126f64.mul_add(part(1), 0.7152 * part(3)))
    }

    #[test]
    fn words_and_marks_stand_out_in_both_schemes() {
        for scheme in [LIGHT, DARK] {
            let of = |name: &str| {
                luminance(scheme.iter().find(|(n, _)| *n == name).unwrap().1)
            };
            let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
            for (name, least) in
                [("ink", 7.0), ("muted", 4.5), ("c1", 4.5), ("c2", 4.5), ("c0", 3.0)]
            {
                let on_paper = contrast(of(name), of("paper"));
                let on_band = contrast(of(name), of("band"));
                assert!(on_paper >= least, "{name} on paper: {on_paper:.2}");
                assert!(on_band >= least.min(4.2), "{name} on a band: {on_band:.2}");
            }
        }
    }

    #[test]
    fn every_variable_is_resolved() {
        assert!(!concrete().contains('$'));
        assert!(!variables(".fig").contains('$'));
        assert_eq!(LIGHT.map(|(name, _)| name), DARK.map(|(name, _)| name));
    }
}
