//! Numbers in the bytes of files and memory images, which are little-endian everywhere.

use num_traits::FromBytes;

/// The numbers that `bytes` holds one after another; what is left of them after the last whole number is passed over.
pub fn numbers<T: FromBytes>(bytes: &[u8]) -> impl Iterator<Item = T>
where
    T::Bytes: for<'a> TryFrom<&'a [u8]>,
{
    // A chunk has the size of a number, so that none is lost here.
    bytes
        .chunks_exact(size_of::<T>())
        .filter_map(|b| b.try_into().ok())
        .map(|b: T::Bytes| T::from_le_bytes(&b))
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn numbers_of_every_width_come_back() {
        let bytes: Vec<u8> = [-2i16, 0x1234].into_iter().flat_map(i16::to_le_bytes).chain([7]).collect();
        assert_eq!(numbers::<i16>(&bytes).collect::<Vec<_>>(), [-2, 0x1234]);
        assert_eq!(numbers::<u32>(&bytes).collect::<Vec<_>>(), [0x1234_fffe]);
        assert_eq!(numbers::<u8>(&bytes).count(), 5);
        let floats: Vec<u8> = [1.5f32, -0.0].into_iter().flat_map(f32::to_le_bytes).collect();
        assert!(numbers::<f32>(&floats).map(f32::to_bits).eq([1.5f32, -0.0].map(f32::to_bits)));
    }
}
