//! The members of a JSON object, without reading what is in them.

/// The members of a JSON object's text, in its order: the key without escapes, and the text of the value.
/// `None` when the text is no object. What is inside a value is not looked at, but for where it ends.
#[must_use]
pub fn json_members(text: &str) -> Option<Vec<(Vec<u8>, &str)>> {
    let mut members = Members::new(text)?;
    let mut all = Vec::new();
    let mut key = Vec::new();
    while let Some(value) = members.next(&mut key)? {
        all.push((std::mem::take(&mut key), value));
    }
    Some(all)
}

/// Walks through the members of an object.
pub(super) struct Members<'a> {
    text: &'a str,
    at: usize,
    is_first: bool,
}

impl<'a> Members<'a> {
    /// Begins; `None` when the text does not begin as an object.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let mut members = Self { text, at: 0, is_first: true };
        members.skip_space();
        members.take(b'{')?;
        Some(members)
    }

    /// The next member: its key goes to `key`, the text of its value is returned. `Some(None)` at the end of
    /// the object, `None` when the text is no object.
    #[expect(clippy::option_option, reason = "the end and a defect are two answers")]
    pub(super) fn next(&mut self, key: &mut Vec<u8>) -> Option<Option<&'a str>> {
        self.skip_space();
        if self.peek() == Some(b'}') && self.is_first {
            return self.end();
        }
        if !std::mem::replace(&mut self.is_first, false) {
            match self.peek()? {
                b'}' => return self.end(),
                b',' => self.at += 1,
                _ => return None,
            }
            self.skip_space();
        }
        self.take(b'"')?;
        self.key(key)?;
        self.skip_space();
        self.take(b':')?;
        self.skip_space();
        let start = self.at;
        self.skip_value()?;
        // Both ends lie beside ASCII characters.
        let value = self.text.get(start..self.at)?.trim_ascii_end();
        if value.is_empty() { None } else { Some(Some(value)) }
    }

    #[expect(clippy::option_option, reason = "as in next()")]
    fn end(&mut self) -> Option<Option<&'a str>> {
        self.at += 1;
        self.skip_space();
        if self.at == self.text.len() { Some(None) } else { None }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads a key, after its opening quote, up to and with the closing one.
    fn key(&mut self, key: &mut Vec<u8>) -> Option<()> {
        key.clear();
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            // `plain` is within `rest`.
            key.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            if rest[plain] == b'"' {
                return Some(());
            }
            let escaped = self.peek()?;
            self.at += 1;
            match escaped {
                b'"' | b'\\' | b'/' => key.push(escaped),
                b'b' => key.push(8),
                b'f' => key.push(12),
                b'n' => key.push(b'\n'),
                b'r' => key.push(b'\r'),
                b't' => key.push(b'\t'),
                b'u' => {
                    let character = self.unicode_escape()?;
                    key.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return None,
            }
        }
    }

    /// Reads what follows `\u`, with the second half of a pair if it is one.
    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..0xdc00 => {
                self.take(b'\\')?;
                self.take(b'u')?;
                let second = self.hex4()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                0x1_0000 + ((first - 0xd800) << 10) + second
            }
            _ => first,
        };
        char::from_u32(code)
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex { u32::from_str_radix(digits, 16).ok() } else { None }
    }

    /// Goes to the comma or brace after a value. Counts brackets instead of descending into them.
    fn skip_value(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        loop {
            match *bytes.get(self.at)? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => depth += 1,
                b',' if depth == 0 => return Some(()),
                b'}' if depth == 0 => return Some(()),
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// From an opening quote to the closing one.
    fn skip_string(&mut self) -> Option<()> {
        loop {
            self.at += 1;
            let rest = self.text.as_bytes().get(self.at..)?;
            self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            match self.peek()? {
                b'"' => return Some(()),
                _ => self.at += 1,
            }
        }
    }
}
