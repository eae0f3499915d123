//! Which vector instructions this machine has, and a way to compile one function body for each set.
//!
//! Every path computes the same integers, so the choice can never show in stored or decoded bytes.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that has its own code path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Isa {
    /// What the target guarantees.
    Scalar = 1,
    /// AVX2 with BMI2 and F16C.
    Avx2 = 2,
    /// AVX-512 F, BW, DQ, VL and CD (Skylake servers, Ice Lake, Zen 4 and later).
    Avx512 = 3,
}

/// 0: not asked yet.
static ACTIVE: AtomicU8 = AtomicU8::new(0);

impl Isa {
    /// The best set of this machine.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("f16c");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512cd");
            if avx2 && avx512 {
                return Isa::Avx512;
            }
            if avx2 {
                return Isa::Avx2;
            }
        }
        Isa::Scalar
    }

    /// The set that coders use now.
    pub fn active() -> Self {
        match ACTIVE.load(Ordering::Relaxed) {
            1 => Isa::Scalar,
            2 => Isa::Avx2,
            3 => Isa::Avx512,
            _ => {
                let best = Self::best();
                ACTIVE.store(best as u8, Ordering::Relaxed);
                best
            }
        }
    }

    /// Makes coders of this process use at most this set: for comparing the paths. Never exceeds the machine's.
    pub fn limit(self) {
        ACTIVE.store(self.min(Self::best()) as u8, Ordering::Relaxed);
    }
}

/// Compiles `body` (an `#[inline(always)]` function) once per instruction set and calls the best.
macro_rules! per_isa {
    ($(#[$meta:meta])* fn $name:ident<$($generic:ident: $bound:path),*>($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? = $body:path) => {
        $(#[$meta])*
        pub(super) fn $name<$($generic: $bound),*>($($arg: $type),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,f16c")]
                fn avx2<$($generic: $bound),*>($($arg: $type),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
                fn avx512<$($generic: $bound),*>($($arg: $type),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                match $crate::codec::isa::Isa::active() {
                    // SAFETY: `active` never exceeds what the machine was found to have.
                    $crate::codec::isa::Isa::Avx512 => return unsafe { avx512::<$($generic),*>($($arg),*) },
                    // SAFETY: as above.
                    $crate::codec::isa::Isa::Avx2 => return unsafe { avx2::<$($generic),*>($($arg),*) },
                    $crate::codec::isa::Isa::Scalar => {}
                }
            }
            $body($($arg),*)
        }
    };
}
pub(super) use per_isa;
