//! Go's `fmt`: `Sprint`, `Sprintln` and `Sprintf` over template values, with every verb, flag and
//! error form. Output and depth are bounded; what goes over is cut and reported.

mod cursor;
mod numbers;

use std::rc::Rc;

use self::cursor::Cursor;
use self::numbers::Integer;

use crate::object::{Object, Shape};
use crate::quote;
use crate::text::{decode_rune, runes};
use crate::value::{Elem, UintType, Value};

/// Deepest nesting printed. Go would run out of stack on a cycle; here the call fails.
const MAX_DEPTH: usize = 500;

/// The text did not fit the given size, or a value is nested without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// `fmt.Sprint`, at most `limit` bytes.
pub fn sprint(args: &[Value], limit: usize) -> Result<Vec<u8>, Overflow> {
    let mut p = Printer::new(limit);
    let mut previous_string = false;
    for (i, arg) in args.iter().enumerate() {
        let is_string = matches!(arg, Value::Str(_));
        if i > 0 && !is_string && !previous_string {
            p.push(b" ");
        }
        p.arg(arg, 'v');
        previous_string = is_string;
    }
    p.finish()
}

/// `fmt.Sprintln`, at most `limit` bytes.
pub fn sprintln(args: &[Value], limit: usize) -> Result<Vec<u8>, Overflow> {
    let mut p = Printer::new(limit);
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            p.push(b" ");
        }
        p.arg(arg, 'v');
    }
    p.push(b"\n");
    p.finish()
}

/// `fmt.Sprintf`, at most `limit` bytes.
pub fn sprintf(format: &[u8], args: &[Value], limit: usize) -> Result<Vec<u8>, Overflow> {
    let mut p = Printer::new(limit);
    p.printf(format, args);
    p.finish()
}

#[derive(Clone, Copy, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    plus_v: bool,
    sharp_v: bool,
}

struct Printer {
    out: Vec<u8>,
    limit: usize,
    overflow: bool,
    flags: Flags,
    erroring: bool,
}

impl Printer {
    fn new(limit: usize) -> Printer {
        Printer {
            out: Vec::new(),
            limit,
            overflow: false,
            flags: Flags::default(),
            erroring: false,
        }
    }

    fn finish(self) -> Result<Vec<u8>, Overflow> {
        if self.overflow { Err(Overflow) } else { Ok(self.out) }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() > self.limit {
            self.overflow = true;
            return;
        }
        self.out.extend_from_slice(bytes);
    }

    fn push_char(&mut self, c: char) {
        self.push(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn padding(&mut self, n: usize) {
        if self.out.len() + n > self.limit {
            self.overflow = true;
            return;
        }
        let fill = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.out.resize(self.out.len() + n, fill);
    }

    fn pad(&mut self, bytes: &[u8]) {
        let width = self.flags.width.unwrap_or(0);
        let missing = width.saturating_sub(runes(bytes).count());
        if missing == 0 {
            return self.push(bytes);
        }
        if self.flags.minus {
            self.push(bytes);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.push(bytes);
        }
    }

    /// As `pad`, with spaces even under the zero flag.
    fn pad_plain(&mut self, bytes: &[u8]) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(bytes);
        self.flags.zero = zero;
    }

    fn truncate<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(n) = self.flags.precision else {
            return bytes;
        };
        let end: usize = runes(bytes).take(n).map(|(_, width)| width).sum();
        &bytes[..end]
    }

    fn bad_verb(&mut self, verb: char, value: &Value) {
        self.erroring = true;
        self.push(b"%!");
        self.push_char(verb);
        self.push(b"(");
        if value.is_nil() {
            self.push(b"<nil>");
        } else {
            self.push(value.type_name().as_bytes());
            self.push(b"=");
            self.value(value, 'v', 0);
        }
        self.push(b")");
        self.erroring = false;
    }

    fn arg(&mut self, value: &Value, verb: char) {
        if value.is_nil() {
            match verb {
                'T' | 'v' => self.pad(b"<nil>"),
                _ => self.bad_verb(verb, value),
            }
            return;
        }
        match verb {
            'T' => {
                let name = value.type_name();
                let shown = self.truncate(name.as_bytes()).to_vec();
                self.pad(&shown);
            }
            'p' => self.pointer(value, 'p'),
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if self.overflow {
            return;
        }
        if depth > MAX_DEPTH {
            self.overflow = true;
            return;
        }
        match value {
            Value::Missing | Value::Nil => {
                if self.flags.sharp_v {
                    self.push(b"interface {}(nil)");
                } else {
                    self.push(b"<nil>");
                }
            }
            Value::Bool(b) => match verb {
                't' | 'v' => self.pad(if *b { b"true" } else { b"false" }),
                _ => self.bad_verb(verb, value),
            },
            Value::Int(n, _) => self.integer(Integer::signed(*n), verb, value),
            Value::Uint(n, _) => self.integer(Integer::unsigned(*n), verb, value),
            Value::Float(f) => self.float(*f, verb, value),
            Value::Complex(re, im) => self.complex(*re, *im, verb, value),
            Value::Str(s) => self.string(s.as_bytes(), verb, value),
            Value::Bytes(b) => self.bytes(b.as_bytes(), verb, depth),
            Value::List(l) => {
                let name = value.type_name();
                let wrap = matches!(l.elem(), Elem::Any);
                self.sequence(&name, l.items(), verb, depth + usize::from(wrap));
            }
            Value::Map(m) => {
                let name = value.type_name();
                let entries = m.snapshot().into_iter().map(|(k, v)| (Value::Str(k), v));
                self.map(&name, entries, verb, depth);
            }
            Value::Object(o) => self.object(o, verb, depth),
            Value::Func(_) => self.pointer(value, verb),
        }
    }

    fn sequence(&mut self, name: &str, items: &[Value], verb: char, depth: usize) {
        let sharp_v = self.flags.sharp_v;
        if sharp_v {
            self.push(name.as_bytes());
        }
        self.push(if sharp_v { b"{" } else { b"[" });
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(if sharp_v { b", " } else { b" " });
            }
            self.value(item, verb, depth + 1);
        }
        self.push(if sharp_v { b"}" } else { b"]" });
    }

    fn map(
        &mut self,
        name: &str,
        entries: impl IntoIterator<Item = (Value, Value)>,
        verb: char,
        depth: usize,
    ) {
        let sharp_v = self.flags.sharp_v;
        if sharp_v {
            self.push(name.as_bytes());
            self.push(b"{");
        } else {
            self.push(b"map[");
        }
        for (i, (k, v)) in entries.into_iter().enumerate() {
            if i > 0 {
                self.push(if sharp_v { b", " } else { b" " });
            }
            self.value(&k, verb, depth + 1);
            self.push(b":");
            self.value(&v, verb, depth + 1);
        }
        self.push(if sharp_v { b"}" } else { b"]" });
    }

    fn object(&mut self, o: &Rc<dyn Object>, verb: char, depth: usize) {
        if !self.erroring
            && !self.flags.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
            && let Some(text) = o.stringer()
        {
            return self.string(text.as_bytes(), verb, &Value::Str(text.clone()));
        }
        let name = o.type_name();
        match o.shape() {
            Shape::Struct(fields) => self.fields(&name, &fields, verb, depth),
            Shape::Pointer(fields) if depth == 0 => {
                self.push(b"&");
                self.fields(name.trim_start_matches('*'), &fields, verb, depth + 1);
            }
            Shape::Pointer(_) => self.pointer(&Value::Object(o.clone()), verb),
            Shape::List(items) => self.sequence(&name, &items, verb, depth),
            Shape::Map(entries) => {
                let entries = entries.into_iter().map(|(k, v)| (Value::Str(k), v));
                self.map(&name, entries, verb, depth);
            }
            Shape::Keyed(entries) => self.map(&name, entries, verb, depth),
        }
    }

    fn fields(&mut self, name: &str, fields: &[(&'static str, Value)], verb: char, depth: usize) {
        let sharp_v = self.flags.sharp_v;
        if sharp_v {
            self.push(name.as_bytes());
        }
        self.push(b"{");
        for (i, (field, v)) in fields.iter().enumerate() {
            if i > 0 {
                self.push(if sharp_v { b", " } else { b" " });
            }
            if self.flags.plus_v || sharp_v {
                self.push(field.as_bytes());
                self.push(b":");
            }
            self.value(v, verb, depth + 1);
        }
        self.push(b"}");
    }

    fn string(&mut self, s: &[u8], verb: char, value: &Value) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(s),
            'v' | 's' => {
                let shown = self.truncate(s);
                self.pad(shown);
            }
            'x' => self.hex_bytes(s, false),
            'X' => self.hex_bytes(s, true),
            'q' => self.quoted(s),
            _ => self.bad_verb(verb, value),
        }
    }

    fn quoted(&mut self, s: &[u8]) {
        let s = self.truncate(s);
        if self.flags.sharp && quote::can_backquote(s) {
            let text = [b"`", s, b"`"].concat();
            return self.pad(&text);
        }
        let text = if self.flags.plus { quote::quote_ascii(s) } else { quote::quote(s) };
        self.pad(text.as_bytes());
    }

    fn hex_bytes(&mut self, s: &[u8], upper: bool) {
        let s = &s[..s.len().min(self.flags.precision.unwrap_or(usize::MAX))];
        if s.is_empty() {
            return self.padding(self.flags.width.unwrap_or(0));
        }
        let prefix = if upper { "0X" } else { "0x" };
        let mut text = String::new();
        for (i, b) in s.iter().enumerate() {
            if i > 0 && self.flags.space {
                text.push(' ');
            }
            if self.flags.sharp && (i == 0 || self.flags.space) {
                text.push_str(prefix);
            }
            text.push_str(&if upper { format!("{b:02X}") } else { format!("{b:02x}") });
        }
        self.pad(text.as_bytes());
    }

    fn bytes(&mut self, b: &[u8], verb: char, depth: usize) {
        match verb {
            's' => {
                let shown = self.truncate(b);
                self.pad(shown);
            }
            'x' => self.hex_bytes(b, false),
            'X' => self.hex_bytes(b, true),
            'q' => self.quoted(b),
            'v' | 'd' if self.flags.sharp_v => {
                self.push(if depth == 0 { b"[]byte{" } else { b"[]uint8{" });
                for (i, c) in b.iter().enumerate() {
                    if i > 0 {
                        self.push(b", ");
                    }
                    self.hex64(u64::from(*c), true);
                }
                self.push(b"}");
            }
            _ => {
                self.push(b"[");
                for (i, c) in b.iter().enumerate() {
                    if i > 0 {
                        self.push(b" ");
                    }
                    let n = u64::from(*c);
                    let elem = Value::Uint(n, UintType::Uint8);
                    self.integer(Integer::unsigned(n), verb, &elem);
                }
                self.push(b"]");
            }
        }
    }

    /// Addresses are made up but stable within a value's life; no output of worth shows them.
    fn pointer(&mut self, value: &Value, verb: char) {
        let address = match value {
            Value::List(l) => l.address(),
            Value::Map(m) => m.address(),
            Value::Bytes(b) => b.as_bytes().as_ptr().addr(),
            Value::Func(f) => Rc::as_ptr(f).cast::<u8>().addr(),
            Value::Object(o) => match o.shape() {
                Shape::Struct(_) => return self.bad_verb(verb, value),
                _ => Rc::as_ptr(o).cast::<u8>().addr(),
            },
            _ => return self.bad_verb(verb, value),
        };
        let address = u64::try_from(address).unwrap_or(u64::MAX);
        match verb {
            'v' if self.flags.sharp_v => {
                self.push(format!("({})(", value.type_name()).as_bytes());
                self.hex64(address, true);
                self.push(b")");
            }
            'v' | 'p' => self.hex64(address, !self.flags.sharp),
            'b' | 'o' | 'd' | 'x' | 'X' => self.integer(Integer::unsigned(address), verb, value),
            _ => self.bad_verb(verb, value),
        }
    }

    fn printf(&mut self, format: &[u8], args: &[Value]) {
        let end = format.len();
        let mut at = 0;
        let mut arg = 0;
        let mut reordered = false;
        while at < end && !self.overflow {
            let start = at;
            while at < end && format[at] != b'%' {
                at += 1;
            }
            self.push(&format[start..at]);
            if at >= end {
                break;
            }
            at += 1;
            self.flags = Flags::default();
            while let Some(c) = format.get(at) {
                match c {
                    b'#' => self.flags.sharp = true,
                    b'0' => self.flags.zero = true,
                    b'+' => self.flags.plus = true,
                    b'-' => self.flags.minus = true,
                    b' ' => self.flags.space = true,
                    _ => break,
                }
                at += 1;
            }
            let mut cursor = Cursor { format, at, arg, args, reordered, good: true };
            let mut after_index = cursor.index();
            if cursor.take(b'*') {
                let width = cursor.star();
                if width.is_none() {
                    self.push(b"%!(BADWIDTH)");
                }
                self.flags.width = width.map(i64::unsigned_abs).and_then(to_usize);
                if width.is_some_and(|w| w < 0) {
                    self.flags.minus = true;
                    self.flags.zero = false;
                }
                after_index = false;
            } else {
                self.flags.width = cursor.digits();
                if after_index && self.flags.width.is_some() {
                    cursor.good = false;
                }
            }
            if cursor.at + 1 < end && cursor.take(b'.') {
                if after_index {
                    cursor.good = false;
                }
                after_index = cursor.index();
                if cursor.take(b'*') {
                    let precision = cursor.star();
                    let usable = precision.filter(|p| *p >= 0);
                    if usable.is_none() {
                        self.push(b"%!(BADPREC)");
                    }
                    self.flags.precision = usable.map(i64::unsigned_abs).and_then(to_usize);
                    after_index = false;
                } else {
                    self.flags.precision = Some(cursor.digits().unwrap_or(0));
                }
            }
            if !after_index {
                cursor.index();
            }
            (at, arg, reordered) = (cursor.at, cursor.arg, cursor.reordered);
            let good = cursor.good;
            if at >= end {
                self.push(b"%!(NOVERB)");
                break;
            }
            let (verb, width) = decode_rune(&format[at..]);
            at += width;
            if verb == '%' {
                self.push(b"%");
            } else if !good {
                self.push(b"%!");
                self.push_char(verb);
                self.push(b"(BADINDEX)");
            } else if let Some(value) = args.get(arg) {
                if matches!(verb, 'v' | 'w') {
                    self.flags.sharp_v = std::mem::take(&mut self.flags.sharp);
                    self.flags.plus_v = std::mem::take(&mut self.flags.plus);
                }
                self.arg(value, verb);
                arg += 1;
            } else {
                self.push(b"%!");
                self.push_char(verb);
                self.push(b"(MISSING)");
            }
        }
        if !reordered && arg < args.len() {
            self.extra(&args[arg..]);
        }
    }

    fn extra(&mut self, args: &[Value]) {
        self.flags = Flags::default();
        self.push(b"%!(EXTRA ");
        for (i, value) in args.iter().enumerate() {
            if i > 0 {
                self.push(b", ");
            }
            if value.is_nil() {
                self.push(b"<nil>");
            } else {
                self.push(value.type_name().as_bytes());
                self.push(b"=");
                self.arg(value, 'v');
            }
        }
        self.push(b")");
    }
}

fn to_usize(n: u64) -> Option<usize> {
    usize::try_from(n).ok()
}
