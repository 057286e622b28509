//! A direct-mapped cache of request slots, indexed by a hash of the request's address. It saves a look-up in a hash map unless
//! another request with the same hash came in between.
//!
//! A place is one word, read and written atomically: the slot number in the low bits, enough of the address to identify the
//! request above. A reader therefore sees the old or the new entry, never a mix. Addresses are distances from a fixed address
//! ("at"), the only arithmetic that the verifier allows on them.

/// Places, as a power of two: 8 for each of the most requests a large host is sized for, of which few are in use at a time.
const PLACES_BITS: u32 = 16;
/// Places.
pub const PLACES: u32 = 1 << PLACES_BITS;

/// Of a slot's number in a place.
const NUMBER_BITS: u32 = 18;
/// Numbers a place can hold.
pub const NUMBERS: u32 = 1 << NUMBER_BITS;
/// Two `struct request` are never nearer than this: each is several times as large.
const APART_BITS: u32 = 6;

/// The place of a request: the upper bits of a product (Fibonacci hashing).
#[inline(always)]
#[must_use]
pub const fn of(at: u64) -> u32 {
    ((at >> APART_BITS).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - PLACES_BITS)) as u32
}

/// The word written at a place. The upper 12 bits of the distance do not fit: kernel addresses differ in at most 52 bits.
#[inline(always)]
#[must_use]
pub const fn word(at: u64, number: u32) -> u64 {
    ((at >> APART_BITS) << NUMBER_BITS) | number as u64
}

/// The number a place holds for a request; not below [`NUMBERS`] when it holds another's, or none.
#[inline(always)]
#[must_use]
pub const fn number(word: u64, at: u64) -> u64 {
    word ^ ((at >> APART_BITS) << NUMBER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Before and behind what does not move, and two requests of one queue.
    const REQUESTS: [u64; 3] = [
        0x0000_36ff_0a53_0010,
        0x0000_36ff_0a53_0190,
        0xffff_c901_0a53_0190,
    ];

    #[test]
    fn a_place_tells_its_requests_number() {
        for request in REQUESTS {
            for there in [0, 1, NUMBERS - 1] {
                assert_eq!(number(word(request, there), request), u64::from(there));
            }
        }
    }

    #[test]
    fn a_place_tells_nothing_of_another_request() {
        for request in REQUESTS {
            assert!(number(0, request) >= NUMBERS.into(), "a place never used");
            for other in REQUESTS.into_iter().filter(|other| *other != request) {
                assert!(number(word(other, 7), request) >= NUMBERS.into());
            }
        }
    }

    #[test]
    fn requests_side_by_side_fall_on_places_apart() {
        let mut places: Vec<_> = (0..1024).map(|tag| of(REQUESTS[0] + tag * 384)).collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 950, "{} of 1,024", places.len());
        assert!(places.iter().all(|place| *place < PLACES));
    }
}
