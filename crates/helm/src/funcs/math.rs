//! Sprig's arithmetic. Integers are int64 and wrap; `addf` and friends go through exact decimals.

use borax_gotmpl::{FuncError, FuncMap, Type, Value};

use super::args::{float, int};
use super::decimal::Decimal;
use super::{fixed, variadic};
use crate::convert::{text, to_float64, to_int, to_int64};

pub(super) fn add(f: &mut FuncMap) {
    use Type::{Any, Float, Int, Str as S};
    fixed(f, "atoi", &[S], |_, a| Ok(Value::int(atoi(&super::args::text(&a[0])).unwrap_or(0))));
    fixed(f, "int64", &[Any], |_, a| Ok(Value::int64(to_int64(&a[0]))));
    fixed(f, "int", &[Any], |_, a| Ok(Value::int(to_int(&a[0]))));
    fixed(f, "float64", &[Any], |_, a| Ok(Value::Float(to_float64(&a[0]))));
    fixed(f, "toDecimal", &[Any], |_, a| {
        let shown = text(&a[0]).to_text().into_owned();
        Ok(Value::int64(i64::from_str_radix(&shown, 8).unwrap_or(0)))
    });
    fixed(f, "add1", &[Any], |_, a| Ok(Value::int64(to_int64(&a[0]).wrapping_add(1))));
    variadic(f, "add", &[Any], |_, a| {
        Ok(Value::int64(a.iter().map(to_int64).fold(0, i64::wrapping_add)))
    });
    fixed(f, "sub", &[Any, Any], |_, a| {
        Ok(Value::int64(to_int64(&a[0]).wrapping_sub(to_int64(&a[1]))))
    });
    fixed(f, "div", &[Any, Any], |_, a| divide(&a[0], &a[1], i64::wrapping_div));
    fixed(f, "mod", &[Any, Any], |_, a| divide(&a[0], &a[1], i64::wrapping_rem));
    variadic(f, "mul", &[Any, Any], |_, a| {
        Ok(Value::int64(a.iter().map(to_int64).fold(1, i64::wrapping_mul)))
    });
    for name in ["max", "biggest"] {
        variadic(f, name, &[Any, Any], |_, a| {
            Ok(Value::int64(a.iter().map(to_int64).max().unwrap_or(0)))
        });
    }
    variadic(f, "min", &[Any, Any], |_, a| {
        Ok(Value::int64(a.iter().map(to_int64).min().unwrap_or(0)))
    });
    variadic(f, "maxf", &[Any, Any], |_, a| Ok(Value::Float(extreme(a, f64::max))));
    variadic(f, "minf", &[Any, Any], |_, a| Ok(Value::Float(extreme(a, f64::min))));
    fixed(f, "ceil", &[Any], |_, a| Ok(Value::Float(to_float64(&a[0]).ceil())));
    fixed(f, "floor", &[Any], |_, a| Ok(Value::Float(to_float64(&a[0]).floor())));
    variadic(f, "round", &[Any, Int, Float], |_, a| {
        let on = a.get(2).map_or(0.5, float);
        #[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
        let power = 10f64.powf(int(&a[1]) as f64);
        let digit = power * to_float64(&a[0]);
        let rounded = if digit.fract() >= on { digit.ceil() } else { digit.floor() };
        Ok(Value::Float(rounded / power))
    });
    fixed(f, "add1f", &[Any], |_, a| decimals(&a[0], &[Value::int(1)], |x, y| Ok(x.add(&y))));
    variadic(f, "addf", &[Any], |_, a| decimals(&Value::Float(0.0), a, |x, y| Ok(x.add(&y))));
    variadic(f, "subf", &[Any, Any], |_, a| decimals(&a[0], &a[1..], |x, y| Ok(x.sub(&y))));
    variadic(f, "mulf", &[Any, Any], |_, a| decimals(&a[0], &a[1..], |x, y| Ok(x.mul(&y))));
    variadic(f, "divf", &[Any, Any], |_, a| {
        decimals(&a[0], &a[1..], |x, y| {
            x.div(&y).ok_or_else(|| FuncError::new("decimal division by 0"))
        })
    });
}

/// Go's `strconv.Atoi`, values out of range clamped as it returns them beside its error.
fn atoi(s: &str) -> Option<i64> {
    let digits = s.strip_prefix(['+', '-']).unwrap_or(s);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(s.parse().unwrap_or(if s.starts_with('-') { i64::MIN } else { i64::MAX }))
}

fn divide(a: &Value, b: &Value, op: fn(i64, i64) -> i64) -> Result<Value, FuncError> {
    match to_int64(b) {
        0 => Err("runtime error: integer divide by zero".into()),
        b => Ok(Value::int64(op(to_int64(a), b))),
    }
}

fn extreme(a: &[Value], pick: fn(f64, f64) -> f64) -> f64 {
    a.iter()
        .map(to_float64)
        .reduce(|x, y| if x.is_nan() || y.is_nan() { f64::NAN } else { pick(x, y) })
        .unwrap_or(0.0)
}

fn decimals(
    first: &Value,
    rest: &[Value],
    op: impl Fn(Decimal, Decimal) -> Result<Decimal, FuncError>,
) -> Result<Value, FuncError> {
    let read = |v: &Value| {
        let f = to_float64(v);
        Decimal::from_float(f).ok_or_else(|| {
            let shown = borax_gotmpl::format_float(f, b'g', None);
            FuncError::new(format!("Cannot create a Decimal from {shown}"))
        })
    };
    let mut total = read(first)?;
    for v in rest {
        total = op(total, read(v)?)?;
    }
    Ok(Value::Float(total.to_float()))
}
