//! The signature of a generic webhook, `t=SECONDS,v1=HEX`: an HMAC-SHA256 over the seconds, a dot and the raw body.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use crate::domain::secret::SecretValue;

pub const HEADER: &str = "x-rekeyd-signature";

pub(super) fn of(key: &SecretValue, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.as_second();
    let hex = authentication_code(key.expose().as_bytes(), &[format!("{seconds}.").as_bytes(), body]);
    format!("t={seconds},v1={hex}")
}

fn authentication_code(key: &[u8], parts: &[&[u8]]) -> String {
    // HMAC accepts keys of any length.
    let Ok(mut code) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    for part in parts {
        code.update(part);
    }
    code.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_one_of_rfc_4231() {
        for (key, data, expected) in [
            (
                &b"Jefe"[..],
                &b"what do ya want for nothing?"[..],
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        ] {
            let (first, rest) = data.split_at(3);
            assert_eq!(authentication_code(key, &[first, rest]), expected);
        }
    }
}
