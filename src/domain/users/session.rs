//! What is known of a browser that somebody signs in with.

/// How far a sign-in has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStage {
    /// The password was right, and the code of the second factor is still missing. Such a session opens
    /// nothing but the page that asks for the code.
    SecondFactor,
    /// Signed in.
    SignedIn,
}

impl SessionStage {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second_factor",
            Self::SignedIn => "signed_in",
        }
    }

    /// The stage of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::SecondFactor, Self::SignedIn].into_iter().find(|stage| stage.as_str() == word)
    }
}

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInMethod {
    /// With a password, and with a second factor where there is one.
    Password,
    /// At a provider of single sign-on.
    SingleSignOn,
    /// With the link of a set-up, an invitation or a reset.
    Link,
}

impl SignInMethod {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SingleSignOn => "single_sign_on",
            Self::Link => "link",
        }
    }

    /// The method of a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Password, Self::SingleSignOn, Self::Link].into_iter().find(|method| method.as_str() == word)
    }
}
