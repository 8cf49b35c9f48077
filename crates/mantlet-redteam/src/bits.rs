//! Floating-point values as hexadecimal bits, so that a journal gives back exactly what was answered.

/// Eight hexadecimal digits a value.
pub(crate) fn write(values: &[f32]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(values.len() * 8);
    for value in values {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:08x}", value.to_bits());
    }
    text
}

/// The values again; `None` when the text is anything else.
pub(crate) fn read(text: &str) -> Option<Vec<f32>> {
    text.as_bytes()
        .chunks(8)
        .map(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 8)?;
            u32::from_str_radix(digits, 16).ok().map(f32::from_bits)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back_exactly() {
        let values = [0.1, -0.0, f32::INFINITY, 1e-40, 3.5];
        assert_eq!(read(&write(&values)).unwrap().map_bits(), values.to_vec().map_bits());
        assert_eq!(read("3f80000"), None);
        assert_eq!(read("3f80000g"), None);
    }

    trait MapBits {
        fn map_bits(self) -> Vec<u32>;
    }
    impl MapBits for Vec<f32> {
        fn map_bits(self) -> Vec<u32> {
            self.into_iter().map(f32::to_bits).collect()
        }
    }
}
