//! Instruction sets that functions have versions for, and the choice among them when the program runs.

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simd {
    /// Whatever the compiler may use.
    Portable,
    /// AVX2.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "never found there"))]
    Avx2,
    /// AVX-512 with byte dot products.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "never found there"))]
    Avx512,
}

impl Simd {
    /// The fastest one of this computer.
    pub fn best() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|simd| simd.is_there()).unwrap_or(Self::Portable)
    }

    /// All that this computer has.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Portable, Self::Avx2, Self::Avx512].into_iter().filter(|simd| simd.is_there())
    }

    /// Whether this processor has the features that [`versions`] and the kernels name.
    #[cfg(target_arch = "x86_64")]
    fn is_there(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_there(self) -> bool {
        self == Self::Portable
    }
}

/// Makes a function of which there is a version for each instruction set; `simd` comes first.
#[macro_export]
macro_rules! versions {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "the instruction set comes on top of what the function needs")]
        $vis fn $name(simd: $crate::simd::Simd, $($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn body($($arg: $type),*) $(-> $out)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
                fn avx512($($arg: $type),*) $(-> $out)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $out)? {
                    body($($arg),*)
                }
                // SAFETY: `Simd::best` names a set only where the processor has its features.
                match simd {
                    $crate::simd::Simd::Avx512 => return unsafe { avx512($($arg),*) },
                    $crate::simd::Simd::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Simd::Portable => {}
                }
            }
            let _ = simd;
            body($($arg),*)
        }
    };
}
pub use versions;
