//! BTF as a list of types that can be changed, read from bytes and written to bytes (Documentation/bpf/btf.rst).
//!
//! Not the reader under test: this one trusts what it reads.

pub(crate) const INT: u32 = 1;
pub(crate) const PTR: u32 = 2;
pub(crate) const ARRAY: u32 = 3;
pub(crate) const STRUCT: u32 = 4;
pub(crate) const UNION: u32 = 5;
pub(crate) const ENUM: u32 = 6;
pub(crate) const TYPEDEF: u32 = 8;
pub(crate) const FUNC: u32 = 12;
pub(crate) const FUNC_PROTO: u32 = 13;
pub(crate) const ENUM64: u32 = 19;

/// A type; its parts (members, enumerators, parameters) by name, with the words that follow the name.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) kind: u32,
    pub(crate) kind_flag: bool,
    pub(crate) name: String,
    pub(crate) size_or_type: u32,
    pub(crate) parts: Vec<(String, Vec<u32>)>,
    /// What follows a type that has no named parts.
    pub(crate) rest: Vec<u32>,
}

/// Type id 1 is the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Types(pub(crate) Vec<Type>);

/// Words of a named part behind its name.
fn part_words(kind: u32) -> Option<usize> {
    match kind {
        STRUCT | UNION | ENUM64 => Some(2),
        ENUM | FUNC_PROTO => Some(1),
        _ => None,
    }
}

fn rest_words(kind: u32, vlen: usize) -> usize {
    match kind {
        INT | 14 | 17 => 1,
        ARRAY => 3,
        15 => 3 * vlen,
        _ => 0,
    }
}

impl Types {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let header = word(4) as usize;
        let mut at = header + word(8) as usize;
        let end = at + word(12) as usize;
        let strings = &bytes[header + word(16) as usize..];
        let text = |offset: u32| {
            let text = &strings[offset as usize..];
            let len = text.iter().position(|byte| *byte == 0).unwrap();
            String::from_utf8_lossy(&text[..len]).into_owned()
        };
        let mut types = Vec::new();
        while at < end {
            let info = word(at + 4);
            let (kind, vlen) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
            let (name, size_or_type) = (text(word(at)), word(at + 8));
            at += 12;
            let mut take = |count: usize| -> Vec<u32> {
                at += 4 * count;
                (0..count)
                    .map(|index| word(at - 4 * (count - index)))
                    .collect()
            };
            let mut parts = Vec::new();
            for _ in 0..part_words(kind).map_or(0, |_| vlen) {
                let words = take(1 + part_words(kind).unwrap_or(0));
                parts.push((text(words[0]), words[1..].to_vec()));
            }
            let rest = take(rest_words(kind, vlen));
            types.push(Type {
                kind,
                kind_flag: info >> 31 != 0,
                name,
                size_or_type,
                parts,
                rest,
            });
        }
        Self(types)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        self.write_behind(0)
    }

    /// As what comes behind so many bytes of another one's strings.
    pub(crate) fn write_behind(&self, base: u32) -> Vec<u8> {
        let mut strings = vec![0];
        let mut name = |text: &str| match intern(&mut strings, text) {
            0 => 0,
            own => base + own,
        };
        let mut types = Vec::new();
        for of in &self.0 {
            let flag = u32::from(of.kind_flag) << 31;
            types.push(name(&of.name));
            types.push(flag | of.kind << 24 | of.parts.len() as u32);
            types.push(of.size_or_type);
            for (label, words) in &of.parts {
                types.push(name(label));
                types.extend(words);
            }
            types.extend(&of.rest);
        }
        let len = 4 * types.len() as u32;
        let head = [0x0001_eb9f, 24, 0, len, len, strings.len() as u32];
        let words = head
            .iter()
            .chain(&types)
            .flat_map(|word| word.to_le_bytes());
        words.chain(strings.iter().copied()).collect()
    }

    /// The first type of a name and kind.
    pub(crate) fn named(&mut self, kind: u32, name: &str) -> &mut Type {
        let mut all = self.0.iter_mut();
        let found = all.find(|of| of.kind == kind && of.name == name);
        found.expect("the fixtures have it")
    }

    pub(crate) fn add(&mut self, of: Type) -> u32 {
        self.0.push(of);
        self.0.len() as u32
    }
}

impl Type {
    pub(crate) fn new(kind: u32, name: &str, size_or_type: u32) -> Self {
        let name = name.to_owned();
        Self {
            kind,
            kind_flag: false,
            name,
            size_or_type,
            parts: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// Type id and offset in bits of a member.
    pub(crate) fn member(&mut self, name: &str) -> &mut Vec<u32> {
        let mut all = self.parts.iter_mut();
        let found = all.find(|part| part.0 == name);
        &mut found.expect("the fixtures have it").1
    }
}

fn intern(strings: &mut Vec<u8>, text: &str) -> u32 {
    let mut wanted = text.as_bytes().to_vec();
    wanted.push(0);
    let known = strings
        .windows(wanted.len())
        .position(|part| part == wanted);
    known.unwrap_or_else(|| {
        strings.extend(&wanted);
        strings.len() - wanted.len()
    }) as u32
}
