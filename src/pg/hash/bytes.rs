//! `hash_bytes` of `common/hashfn.c`: Bob Jenkins' lookup3 as PostgreSQL seeds it, little-endian servers.

/// `hash_bytes(k, keylen)`.
pub fn hash_bytes(key: &[u8]) -> u32 {
    let mut state = State::new(key.len() as u32);
    let (blocks, tail) = key.as_chunks::<12>();
    for block in blocks {
        state.add(word(block, 0), word(block, 4), word(block, 8));
        state.mix();
    }
    let mut last = [0; 12];
    last[..tail.len()].copy_from_slice(tail);
    // The lowest byte of `c` is reserved for the length, so the last up to three bytes sit one byte higher.
    let c = u32::from(last[8]) << 8 | u32::from(last[9]) << 16 | u32::from(last[10]) << 24;
    state.add(word(&last, 0), word(&last, 4), c);
    state.finish()
}

/// `hash_bytes_uint32(k)`: the hash of one 32-bit number.
pub fn hash_bytes_uint32(key: u32) -> u32 {
    let mut state = State::new(4);
    state.add(key, 0, 0);
    state.finish()
}

fn word(block: &[u8; 12], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    fn new(length: u32) -> Self {
        let seed = 0x9e37_79b9_u32.wrapping_add(length).wrapping_add(3_923_095);
        Self { a: seed, b: seed, c: seed }
    }

    fn add(&mut self, a: u32, b: u32, c: u32) {
        self.a = self.a.wrapping_add(a);
        self.b = self.b.wrapping_add(b);
        self.c = self.c.wrapping_add(c);
    }

    fn mix(&mut self) {
        let Self { mut a, mut b, mut c } = *self;
        (a, c) = (a.wrapping_sub(c) ^ c.rotate_left(4), c.wrapping_add(b));
        (b, a) = (b.wrapping_sub(a) ^ a.rotate_left(6), a.wrapping_add(c));
        (c, b) = (c.wrapping_sub(b) ^ b.rotate_left(8), b.wrapping_add(a));
        (a, c) = (a.wrapping_sub(c) ^ c.rotate_left(16), c.wrapping_add(b));
        (b, a) = (b.wrapping_sub(a) ^ a.rotate_left(19), a.wrapping_add(c));
        (c, b) = (c.wrapping_sub(b) ^ b.rotate_left(4), b.wrapping_add(a));
        *self = Self { a, b, c };
    }

    fn finish(self) -> u32 {
        let Self { mut a, mut b, mut c } = self;
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        (c ^ b).wrapping_sub(b.rotate_left(24))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a PostgreSQL 15: `SELECT hashtext(…)`, `hashint4(…)`.
    #[test]
    fn known_values() {
        assert_eq!(hash_bytes_uint32(1) as i32, -1_905_060_026);
        assert_eq!(hash_bytes(b"") as i32, -1_477_818_771);
    }
}
