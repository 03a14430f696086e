//! Writers of JSON objects and arrays that are no protobuf messages, such as those of the older endpoints.
//!
//! Keys stand in the order in which they are written; numbers and strings print as in messages.

use std::fmt::Display;

use protobuf::MessageDyn;

use super::text::{write_f64, write_i64, write_string, write_u64};

/// Appends an object whose members `fill` writes.
pub fn write_object(out: &mut String, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.push('{');
    fill(&mut ObjectWriter { out, empty: true });
    out.push('}');
}

/// Appends an array; `write` writes one element.
pub fn write_array<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    out.push('[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

/// Appends a number; one that JSON cannot express becomes `null`.
pub fn write_number(out: &mut String, value: f64) {
    if !write_f64(out, value) {
        out.push_str("null");
    }
}

/// The members of one object.
pub struct ObjectWriter<'a> {
    out: &'a mut String,
    empty: bool,
}

impl ObjectWriter<'_> {
    /// A member whose value `write` appends.
    pub fn field(&mut self, key: &str, write: impl FnOnce(&mut String)) {
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        write_string(self.out, key);
        self.out.push(':');
        write(self.out);
    }

    /// A string.
    pub fn string(&mut self, key: &str, value: &str) {
        self.field(key, |out| write_string(out, value));
    }

    /// A string made of anything that prints, such as an id.
    pub fn text(&mut self, key: &str, value: impl Display) {
        self.string(key, &value.to_string());
    }

    /// A number with a fraction, `.0` if need be.
    pub fn number(&mut self, key: &str, value: f64) {
        self.field(key, |out| write_number(out, value));
    }

    /// A whole number without a fraction.
    pub fn integer(&mut self, key: &str, value: i64) {
        self.field(key, |out| write_i64(out, value));
    }

    /// A count without a fraction.
    pub fn count(&mut self, key: &str, value: usize) {
        self.field(key, |out| write_u64(out, value as u64));
    }

    /// A boolean.
    pub fn boolean(&mut self, key: &str, value: bool) {
        self.field(key, |out| out.push_str(if value { "true" } else { "false" }));
    }

    /// An object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.field(key, |out| write_object(out, fill));
    }

    /// An array; `write` writes one element.
    pub fn array<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, write: impl FnMut(&mut String, T)) {
        self.field(key, |out| write_array(out, items, write));
    }

    /// An array of strings.
    pub fn strings<T: AsRef<str>>(&mut self, key: &str, items: impl IntoIterator<Item = T>) {
        self.array(key, items, |out, item| write_string(out, item.as_ref()));
    }

    /// A protobuf message.
    pub fn message(&mut self, key: &str, message: &dyn MessageDyn) {
        self.field(key, |out| super::write(message, out));
    }

    /// A protobuf message, if there is one.
    pub fn message_if_set<M: MessageDyn>(&mut self, key: &str, message: Option<&M>) {
        if let Some(message) = message {
            self.message(key, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_their_types() {
        let mut json = String::new();
        write_object(&mut json, |object| {
            object.string("b", "x\"y");
            object.number("a", 1.0);
            object.number("nan", f64::NAN);
            object.integer("i", -3);
            object.boolean("t", true);
            object.strings("s", ["p", "q"]);
            object.array("n", [1_usize, 2], |out, item| {
                write_object(out, |object| object.count("c", item));
            });
            object.object("o", |_| {});
        });
        assert_eq!(
            json,
            r#"{"b":"x\"y","a":1.0,"nan":null,"i":-3,"t":true,"s":["p","q"],"n":[{"c":1},{"c":2}],"o":{}}"#
        );
    }
}
