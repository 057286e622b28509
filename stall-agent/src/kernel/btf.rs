//! Reads the kernel's type information (BTF): where a field lies, what an enum's name is worth,
//! what a tracepoint passes.
//!
//! Bytes in, facts out; no I/O. The bytes are not trusted: whatever is wrong with them is an error
//! or an absent fact. Format: Documentation/bpf/btf.rst.

use thiserror::Error;

/// Why bytes are not BTF.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    #[error("not BTF (magic {0:#06x})")]
    Magic(u16),
    #[error("BTF of the other byte order")]
    ByteOrder,
    #[error("BTF cut short")]
    Truncated,
    #[error("BTF with a type of unknown kind {0}")]
    Kind(u32),
}

/// A field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Offset from the start of the outermost structure, bytes.
    pub offset: u32,
    /// Size, bytes.
    pub size: u32,
}

/// Parsed type information, borrowing the bytes it was read from.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `types`; type id 1 is the first.
    starts: Vec<u32>,
    /// Types that are looked for by name, in order: a kernel has a hundred thousand others.
    named: Named,
}

/// Ids of types, by kind.
#[derive(Default)]
struct Named {
    structures: Vec<u32>,
    enums: Vec<u32>,
    typedefs: Vec<u32>,
    functions: Vec<u32>,
}

const MAGIC: u16 = 0xeb9f;
const TYPE_BYTES: usize = 12;
/// Typedefs, qualifiers and nested arrays followed at most; real chains are below ten.
const MAX_DEPTH: u32 = 32;
/// Anonymous members looked into at most for one name, in all: a bound on depth alone would leave time
/// that grows with its power.
const MAX_ANONYMOUS: u32 = 256;

mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// `struct btf_type`, with the bytes that follow it.
#[derive(Clone, Copy)]
struct Type<'a> {
    name: u32,
    kind: u32,
    is_bitfield: bool,
    /// `size` or `type`, by kind.
    size_or_type: u32,
    rest: &'a [u8],
}

impl<'a> Btf<'a> {
    /// Reads the header and finds where each type begins.
    ///
    /// # Errors
    ///
    /// When the bytes are not BTF of this machine's byte order, or end early.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let magic = u16_at(bytes, 0)?;
        if magic == MAGIC.swap_bytes() {
            return Err(BtfError::ByteOrder);
        }
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        let header = u32_at(bytes, 4)? as usize;
        let types = section(bytes, header, u32_at(bytes, 8)?, u32_at(bytes, 12)?)?;
        let strings = section(bytes, header, u32_at(bytes, 16)?, u32_at(bytes, 20)?)?;
        let (starts, named) = read_types(types)?;
        Ok(Self {
            types,
            strings,
            starts,
            named,
        })
    }

    /// A field of a structure by its path, such as `se.exec_start`; anonymous structures and
    /// unions are looked into. `None` when there is no such structure or field, or it is a
    /// bitfield.
    #[must_use]
    pub fn field(&self, structure: &str, path: &str) -> Option<Field> {
        let mut id = self.find(structure, &self.named.structures)?;
        let mut offset = 0_u32;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let (member, at) = self.member(id, name, &mut { MAX_ANONYMOUS })?;
            offset = offset.checked_add(at)?;
            if names.peek().is_none() {
                let size = self.size(member, MAX_DEPTH)?;
                return Some(Field { offset, size });
            }
            id = self.bare(member)?;
        }
        None
    }

    /// A bitfield of one bit in a structure itself: the byte that has it, and its mask there. Kernels are little-endian.
    #[must_use]
    pub fn bit(&self, structure: &str, name: &str) -> Option<(u32, u32)> {
        let of = self.get(self.find(structure, &self.named.structures)?)?;
        of.rest.chunks_exact(12).find_map(|member| {
            let named = self.is(u32_at(member, 0).ok()?, name);
            let place = u32_at(member, 8).ok()?;
            let is_bit = of.is_bitfield && place >> 24 == 1;
            let bits = place & 0xff_ffff;
            (named && is_bit).then_some((bits / 8, 1 << (bits % 8)))
        })
    }

    /// The value of an enumerator of any enum.
    #[must_use]
    pub fn enumerator(&self, name: &str) -> Option<u64> {
        let mut enums = self.named.enums.iter().filter_map(|id| self.get(*id));
        enums.find_map(|of| self.value(of, name))
    }

    /// How many arguments a tracepoint passes, `void *__data` not counted. `None` when the kernel
    /// has no such tracepoint.
    #[must_use]
    pub fn tracepoint_args(&self, name: &str) -> Option<usize> {
        let id = self.find(&format!("btf_trace_{name}"), &self.named.typedefs)?;
        let pointer = self.get(self.get(id)?.size_or_type)?;
        let proto = self.get(pointer.size_or_type)?;
        let known = pointer.kind == kind::PTR && proto.kind == kind::FUNC_PROTO;
        known.then(|| (proto.rest.len() / 8).saturating_sub(1))
    }

    /// Whether there is a function of this name.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.find(name, &self.named.functions).is_some()
    }

    fn find(&self, name: &str, among: &[u32]) -> Option<u32> {
        let is_it = |id: &u32| self.get(*id).is_some_and(|of| self.is(of.name, name));
        among.iter().copied().find(is_it)
    }

    /// Type and byte offset of a member, through anonymous structures and unions.
    fn member(&self, id: u32, name: &str, left: &mut u32) -> Option<(u32, u32)> {
        let of = self.get(id)?;
        if of.kind != kind::STRUCT && of.kind != kind::UNION {
            return None;
        }
        of.rest.chunks_exact(12).find_map(|member| {
            let (label, inner) = (u32_at(member, 0).ok()?, u32_at(member, 4).ok()?);
            let at = byte_offset(u32_at(member, 8).ok()?, of.is_bitfield);
            if self.is(label, name) {
                return Some((inner, at?));
            }
            if label != 0 {
                return None;
            }
            *left = left.checked_sub(1)?;
            let (found, within) = self.member(self.bare(inner)?, name, left)?;
            Some((found, at?.checked_add(within)?))
        })
    }

    fn size(&self, id: u32, depth: u32) -> Option<u32> {
        let id = self.bare(id)?;
        let of = self.get(id)?;
        match of.kind {
            kind::PTR => Some(8),
            kind::ARRAY => {
                let element = self.size(u32_at(of.rest, 0).ok()?, depth.checked_sub(1)?)?;
                element.checked_mul(u32_at(of.rest, 8).ok()?)
            }
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::FLOAT | kind::ENUM64 => {
                Some(of.size_or_type)
            }
            _ => None,
        }
    }

    /// The type behind typedefs, qualifiers and tags.
    fn bare(&self, mut id: u32) -> Option<u32> {
        for _ in 0..MAX_DEPTH {
            let of = self.get(id)?;
            match of.kind {
                kind::TYPEDEF | kind::VOLATILE..=kind::RESTRICT | kind::TYPE_TAG => {
                    id = of.size_or_type;
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn value(&self, of: Type<'_>, name: &str) -> Option<u64> {
        let width = if of.kind == kind::ENUM { 8 } else { 12 };
        of.rest.chunks_exact(width).find_map(|entry| {
            if !self.is(u32_at(entry, 0).ok()?, name) {
                return None;
            }
            let low = u64::from(u32_at(entry, 4).ok()?);
            let high = if width == 12 {
                u32_at(entry, 8).ok()?
            } else {
                0
            };
            Some(u64::from(high) << 32 | low)
        })
    }

    fn get(&self, id: u32) -> Option<Type<'a>> {
        let start = *self.starts.get(id.checked_sub(1)? as usize)?;
        read_type(self.types.get(start as usize..)?).ok()
    }

    fn is(&self, offset: u32, name: &str) -> bool {
        let Some(text) = self.strings.get(offset as usize..) else {
            return false;
        };
        text.starts_with(name.as_bytes()) && text.get(name.len()) == Some(&0)
    }
}

impl Named {
    fn add(&mut self, id: u32, kind: u32) {
        match kind {
            kind::STRUCT => self.structures.push(id),
            kind::ENUM | kind::ENUM64 => self.enums.push(id),
            kind::TYPEDEF => self.typedefs.push(id),
            kind::FUNC => self.functions.push(id),
            _ => {}
        }
    }
}

/// Where each begins, and those that are looked for by name.
fn read_types(types: &[u8]) -> Result<(Vec<u32>, Named), BtfError> {
    // Most types take 12 to 40 bytes.
    let mut starts = Vec::with_capacity(types.len() / 24);
    let mut named = Named::default();
    let mut at = 0;
    while at < types.len() {
        let of = read_type(&types[at..])?;
        starts.push(at as u32);
        named.add(starts.len() as u32, of.kind);
        at += TYPE_BYTES + of.rest.len();
    }
    Ok((starts, named))
}

fn read_type(bytes: &[u8]) -> Result<Type<'_>, BtfError> {
    let info = u32_at(bytes, 4)?;
    let kind = info >> 24 & 0x1f;
    let len = rest_len(kind, (info & 0xffff) as usize)?;
    Ok(Type {
        name: u32_at(bytes, 0)?,
        kind,
        is_bitfield: info >> 31 != 0,
        size_or_type: u32_at(bytes, 8)?,
        rest: bytes
            .get(TYPE_BYTES..TYPE_BYTES + len)
            .ok_or(BtfError::Truncated)?,
    })
}

/// Bytes that follow a type of a kind.
const fn rest_len(kind: u32, vlen: usize) -> Result<usize, BtfError> {
    Ok(match kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * vlen,
        kind::ENUM | kind::FUNC_PROTO => 8 * vlen,
        kind::PTR | 7..=kind::FUNC | kind::FLOAT | kind::TYPE_TAG => 0,
        other => return Err(BtfError::Kind(other)),
    })
}

/// With `kind_flag` the upper byte is a bitfield's size; a bitfield has no byte offset.
fn byte_offset(bits: u32, kind_flag: bool) -> Option<u32> {
    let (bits, bitfield) = if kind_flag {
        (bits & 0xff_ffff, bits >> 24 != 0)
    } else {
        (bits, false)
    };
    (!bitfield && bits % 8 == 0).then_some(bits / 8)
}

fn section(bytes: &[u8], header: usize, offset: u32, len: u32) -> Result<&[u8], BtfError> {
    let start = header
        .checked_add(offset as usize)
        .ok_or(BtfError::Truncated)?;
    let end = start.checked_add(len as usize).ok_or(BtfError::Truncated)?;
    bytes.get(start..end).ok_or(BtfError::Truncated)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let four = bytes.get(at..at + 4).ok_or(BtfError::Truncated)?;
    Ok(u32::from_ne_bytes([four[0], four[1], four[2], four[3]]))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, BtfError> {
    let two = bytes.get(at..at + 2).ok_or(BtfError::Truncated)?;
    Ok(u16::from_ne_bytes([two[0], two[1]]))
}
