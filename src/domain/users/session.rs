//! What is known about a session: how far the sign-in has come, and how the person signed in.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStage {
    /// The password was right and the two-step verification code is still missing. The session only opens the
    /// page that asks for the code.
    SecondFactor,
    SignedIn,
}

impl SessionStage {
    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second_factor",
            Self::SignedIn => "signed_in",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::SecondFactor, Self::SignedIn].into_iter().find(|stage| stage.as_str() == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInMethod {
    /// Including the second factor, for those who have one.
    Password,
    SingleSignOn,
    /// The link of a set-up, an invitation or a password reset.
    Link,
}

impl SignInMethod {
    /// The value stored in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::SingleSignOn => "single_sign_on",
            Self::Link => "link",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Password, Self::SingleSignOn, Self::Link].into_iter().find(|method| method.as_str() == word)
    }
}
