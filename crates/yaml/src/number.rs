//! Numbers as Go reads and prints them (`strconv`, `encoding/json`). Owns the formats; does not
//! know where in a document a number stands.

/// A number as Go's `strconv.FormatFloat(value, 'g', -1, 64)` prints it: `1e+06`, `0.5`, `1e-06`.
/// Infinities and NaN print as YAML has them (`.inf`, `-.inf`, `.nan`).
pub fn format_float(value: f64) -> String {
    match special(value) {
        Some(text) => text.to_owned(),
        None => general(&format!("{value:e}")),
    }
}

/// The same for single precision, which go-yaml v2's users print mapping keys with.
pub(crate) fn format_float32(value: f64) -> String {
    let single = value as f32;
    match special(f64::from(single)) {
        Some(text) => text.to_owned(),
        None => general(&format!("{single:e}")),
    }
}

/// A number as Go's `encoding/json` prints it: no exponent between `1e-6` and `1e21`. `None` for
/// infinities and NaN, which JSON lacks.
pub fn format_json_float(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        // Rust prints `1e-7` and `1e21`, Go `1e-7` and `1e+21`.
        let text = format!("{value:e}");
        return Some(match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        });
    }
    Some(format!("{value}"))
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some(".nan")
    } else if value.is_infinite() {
        Some(if value > 0.0 { ".inf" } else { "-.inf" })
    } else {
        None
    }
}

/// From this decimal exponent on, Go's 'g' with the shortest precision prints an exponent.
const EXPONENT_FROM: i32 = 6;

/// Rust's shortest `1.5e8` to Go's 'g'.
fn general(scientific: &str) -> String {
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    if !(-4..EXPONENT_FROM).contains(&exponent) {
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{digits}e{exponent_sign}{:02}", exponent.abs());
    }
    let bare: String = digits.chars().filter(|c| *c != '.').collect();
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{bare}");
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    match bare.get(whole..) {
        None | Some("") => format!("{sign}{bare}{}", "0".repeat(whole.saturating_sub(bare.len()))),
        Some(fraction) => format!("{sign}{}.{fraction}", &bare[..whole]),
    }
}
