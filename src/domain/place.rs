//! Where a secret is, as far as a policy tells, and whether two descriptions can mean one secret. Pure.

use crate::domain::ids::CredentialName;
use crate::domain::plan::Destination;

/// What a policy tells of the place of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The kind of store.
    pub kind: &'static str,
    /// The secret's name in the store.
    pub name: String,
    /// Its name if the store's own identifier was written and is read in another way.
    pub or_name: Option<String>,
    pub region: Option<String>,
    pub account: Option<String>,
    /// How the store is reached.
    pub through: String,
}

/// Whether two places are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SamePlace {
    No,
    /// Only the stores know.
    Perhaps,
    Yes,
}

impl Place {
    /// Every name that another place must share to be the same one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.or_name.as_deref())
    }

    #[must_use]
    pub fn compare(&self, other: &Self) -> SamePlace {
        let differ = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one != other)
        };
        let shares_a_name = self.names().any(|name| other.names().any(|it| it == name));
        if self.kind != other.kind
            || !shares_a_name
            || differ(&self.region, &other.region)
            || differ(&self.account, &other.account)
        {
            return SamePlace::No;
        }
        let is_exact = self.account.is_some() && self.account == other.account && self.region == other.region;
        let is_one = if is_exact {
            self.or_name == other.or_name
        } else {
            self.through == other.through && self.name == other.name
        };
        if is_one { SamePlace::Yes } else { SamePlace::Perhaps }
    }
}

/// Another credential's destination that may be the same place under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    pub own: Destination,
    pub credential: CredentialName,
    pub its: Destination,
}

/// What an operator is told of two names of one place.
#[must_use]
pub fn told(credential: &CredentialName, rival: &Rival) -> String {
    let Rival { own, credential: other, its } = rival;
    format!("`{own}` of `{credential}` and `{its}` of `{other}` are the same secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, or_name: Option<&str>, region: Option<&str>, account: Option<&str>) -> Place {
        Place {
            kind: "aws",
            name: name.to_owned(),
            or_name: or_name.map(str::to_owned),
            region: region.map(str::to_owned),
            account: account.map(str::to_owned),
            through: format!("{region:?}"),
        }
    }

    #[test]
    fn places_are_one_apart_or_for_the_store_to_tell() {
        let named = place("tts", None, Some("eu"), None);
        let by_arn = Place {
            through: named.through.clone(),
            ..place("tts", Some("tts-Ab12Cd"), Some("eu"), Some("1"))
        };
        for (one, other, expected) in [
            (&named, &named, SamePlace::Yes),
            (&named, &by_arn, SamePlace::Yes),
            (&by_arn, &by_arn, SamePlace::Yes),
            (&named, &Place { through: "a profile".to_owned(), ..named.clone() }, SamePlace::Perhaps),
            (&by_arn, &Place { through: "a profile".to_owned(), ..by_arn.clone() }, SamePlace::Yes),
            (
                &by_arn,
                &Place { or_name: Some("tts-Ef34Gh".to_owned()), ..by_arn.clone() },
                SamePlace::Perhaps,
            ),
            (&by_arn, &place("tts-Ab12Cd", None, Some("eu"), None), SamePlace::Perhaps),
            (&named, &place("tts", None, None, None), SamePlace::Perhaps),
            (&named, &place("tts", None, Some("us"), None), SamePlace::No),
            (&by_arn, &place("tts", Some("tts-Ab12Cd"), Some("eu"), Some("2")), SamePlace::No),
            (&named, &place("stt", None, Some("eu"), None), SamePlace::No),
            (&named, &Place { kind: "directory", ..named.clone() }, SamePlace::No),
        ] {
            assert_eq!(one.compare(other), expected, "{one:?} {other:?}");
            assert_eq!(other.compare(one), expected, "{other:?} {one:?}");
        }
    }
}
