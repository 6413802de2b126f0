//! Every error of a form in one table: what programs read of it, and the sentence for the person who filled in
//! the form.
//!
//! A sentence says what to do, and never more than was checked. What was typed is a part of it only where it
//! cannot be a secret.

use super::sentences::fill;

/// What is wrong with a field, as a code that API clients can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldFault {
    /// A required value is missing.
    Required,
    /// The field doesn't accept the value.
    Invalid,
    /// The value is the mask that is shown instead of a secret.
    Masked,
    /// The name is already in use.
    Taken,
    /// The connector has no such field.
    Unknown,
}

impl FieldFault {
    /// The value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Invalid => "invalid",
            Self::Masked => "masked",
            Self::Taken => "taken",
            Self::Unknown => "unknown",
        }
    }
}

macro_rules! form_errors {
    ($($(#[$doc:meta])* $error:ident: $fault:ident, $sentence:literal;)*) => {
        /// One thing that can be wrong with a field of a form.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FormError {
            $($(#[$doc])* #[doc = $sentence] $error,)*
        }

        impl FormError {
            /// Every error.
            pub const ALL: &[Self] = &[$(Self::$error,)*];

            /// The word for programs.
            pub const fn fault(self) -> FieldFault {
                match self {
                    $(Self::$error => FieldFault::$fault,)*
                }
            }

            /// The sentence, with its parts in braces.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$error => $sentence,)*
                }
            }
        }
    };
}

impl FormError {
    /// What a person reads, where the sentence has no parts.
    pub fn say(self) -> String {
        self.with(&[])
    }

    /// What a person reads.
    pub fn with(self, parts: &[(&str, &str)]) -> String {
        fill(self.sentence(), parts)
    }
}

form_errors! {
    // Names and descriptions.
    NameMissing: Invalid, "Enter a name.";
    NameTooLong: Invalid, "Use at most {most} characters. This name has {count}.";
    NameWithUnseen: Invalid, "Remove the line break or invisible character from the name.";
    NameInvisible: Invalid, "Enter a name with at least one visible character.";
    DescriptionTooLong: Invalid, "Use at most {most} characters. This description has {count}.";
    DescriptionWithUnseen: Invalid, "Remove the invisible character from the description.";

    // Fields of a connector.
    FieldMissing: Required, "Enter the {field}.";
    ValueMissing: Invalid, "Enter a value.";
    ValueMissingForChoice: Invalid, "Enter a value. Keytile doesn't know it for {choice} “{option}”.";
    ValueTooLong: Invalid, "Use at most {most} characters. This has {count}.";
    ValueWithUnseen: Invalid, "Remove the line break or invisible character.";
    NotAnOption: Invalid, "Choose one of the options.";
    NotAUuid: Invalid, "Enter a UUID, such as 0189f7ea-ae2f-7809-8aeb-b819cf5e9e7f.";
    NotDigits: Invalid, "Use digits only.";
    HyphenAtEnd: Invalid, "Use hyphens only between letters or digits.";
    NotALabel: Invalid, "Use only letters, digits and hyphens, not “{wrong}”.";
    NotAHost: Invalid, "Enter a host name, such as api.example.com.";
    AddressForHost: Invalid, "Enter a host name, not an IP address.";
    NotAnAddress: Invalid, "Enter a complete address that starts with https://.";
    NotEncrypted: Invalid, "Enter an address that starts with https://, so that nothing is sent unencrypted.";
    UserInAddress: Invalid, "Remove the username and password from the address.";
    FragmentInAddress: Invalid, "Remove the # and everything after it from the address.";
    /// What was pasted is no address that the connector knows.
    UnknownAddress: Invalid, "Keytile doesn't know “{host}” as an address of {service}. Enter only the {field}.";
    /// The same, with an address that it would know.
    UnknownAddressSuchAs: Invalid,
        "Keytile doesn't know “{host}” as an address of {service}. \
         Enter only the {field}, or paste an address such as yourcompany.{domain}.";
    OnlyDots: Invalid, "Enter a value that isn't only dots.";
    NoAddress: Invalid, "This doesn't make a valid https:// address.";

    // Secrets.
    SecretMasked: Masked,
        "This is the placeholder for the {field}, not its value. \
         Leave the field empty to keep the saved value, or enter the full value.";
    SecretMissingInPatch: Invalid, "Send the full {field}, or leave it out to keep the saved one.";
    SecretForOtherAddress: Invalid, "Enter the {field} again. You entered it for a different address.";
    SecretVerifiedElsewhere: Invalid, "Enter the {field} again. The saved one was verified with a different address.";

    // Requests that a connector makes of the values.
    ControlInHeader: Invalid, "Remove the control characters. They can't be sent in a header.";
    NoAuthorization: Invalid, "Enter a value. Without it, Keytile can't authorize requests.";
    ConnectorIncomplete: Invalid, "The connector's settings are incomplete.";
    PathLeavesApi: Invalid, "The path leaves the API's base URL.";
    NoApiAddress: Invalid, "These values don't make a valid API address.";

    // Credentials.
    CredentialNameTaken: Taken, "You already have a {service} credential named “{name}”. Choose another name.";
    CredentialNameTakenByOwner: Taken,
        "Its owner, {owner}, already has a {service} credential named “{name}”. Choose another name.";
    FieldUnknown: Unknown, "{service} has no field with this ID. Its fields are {fields}.";

    // Data sources and destinations.
    ResourceNameTaken: Taken, "You already have a data {kind} named “{name}”. Choose another name.";
    ResourceNameTakenByOwner: Taken, "Its owner already has a data {kind} named “{name}”. Choose another name.";
    MethodMissing: Invalid, "Choose a method.";
    EndpointMissing: Invalid, "Choose an endpoint or a custom path.";
    CredentialGone: Invalid, "This credential isn't available. Go back and choose another one.";
    CredentialUnknown: Invalid, "You don't have access to a credential with this ID.";
    CredentialUnknownForConnector: Invalid, "You don't have access to a credential with this ID for the same connector.";
    CredentialWithoutConnector: Invalid, "This credential's connector isn't installed.";
    ResourceWithoutConnector: Invalid, "This resource's connector isn't installed.";
    KindNotOffered: Invalid, "{service} can't be used as a {kind}.";
    PathMissing: Invalid, "Enter a path, such as /users.";
    PathStart: Invalid, "Start the path with a single /, such as /users. The host comes from the connector.";
    PathTooLong: Invalid, "Use at most 1,000 characters for the path.";
    PathWithQuery: Invalid, "Put anything after the ? into the query parameters, and remove any #.";
    PathWithSpace: Invalid, "Remove spaces and backslashes from the path, or percent-encode them.";
    PathWithDots: Invalid, "Write the path without . and .. segments.";
    ParameterWithoutName: Invalid, "Name the query parameter with the value “{value}”.";
    ParameterTooLong: Invalid, "Use at most {most} characters for a query parameter.";
    TooManyParameters: Invalid, "Use at most {most} query parameters.";
    MethodsMissing: Invalid, "Choose at least one method: GET, POST, PUT, PATCH or DELETE.";
    PrefixesMissing: Invalid, "Enter at least one path. A single / allows the whole API.";
    PrefixWithBreak: Invalid, "Write each path without a line break.";
    PrefixUnusable: Invalid, "“{line}” can't be used as a path: {reason}.";
    TooManyPrefixes: Invalid, "Enter at most {most} paths.";
    BodyLimit: Invalid, "Enter a whole number of MiB from 0 to 1,048,576.";
    RateLimit: Invalid, "Enter a number from 1 to 1,000,000, or leave it empty for no limit.";
    RetryLimit: Invalid, "Enter a number from 0 to {most}.";

    // People, groups and API keys.
    NotAnEmail: Invalid, "Enter an email address, such as ana@example.com.";
    EmailTooLong: Invalid, "Use an email address of at most {most} characters.";
    EmailTaken: Invalid, "Another account already has this email address.";
    EmailUnknown: Invalid, "No account has this email address.";
    RoleMissing: Invalid, "Choose a role.";
    FirstIsAdministrator: Invalid, "The first account must be an administrator.";
    LastAdministrator: Invalid, "This is the last active administrator. Make someone else an administrator first.";
    GroupNameTaken: Invalid, "Another group already has this name.";
    OwnerUnknown: Invalid, "No active account has this email address.";
    OwnerAlready: Invalid, "Choose someone else. This person is already the owner.";
    OwnerDisabled: Invalid, "This account is disabled. Choose an active account.";
    OwnerRoleChanged: Invalid, "This person's role has just changed. Try again.";
    OwnerOfCredentials: Invalid,
        "Only editors and administrators can own credentials. Upgrade this person's role first, or choose someone else.";
    OwnerOfResources: Invalid,
        "Only operators, editors and administrators can own sources and destinations. \
         Upgrade this person's role first, or choose someone else.";
    CreatedMeanwhile: Invalid, "Something new was created during the transfer. Try again.";
    ResourcesMissing: Invalid, "Choose at least one resource, or allow all of them.";
    TooManyResources: Invalid, "Choose at most {most} resources.";
    ResourceDeleted: Invalid, "The account or one of the resources was just deleted. Choose again.";
    ScopeUnknown: Invalid, "There is no scope “{word}”. The scopes are {scopes}.";
    ExpiryMissing: Invalid, "Enter a number of days, or a date such as 2027-01-31.";
    ExpiryTooSoon: Invalid, "Enter at least one day.";
    ExpiryPassed: Invalid, "This date has passed. Choose a later one.";
    ExpiryTooLate: Invalid, "Choose a date within the next {most} days.";

    // Passwords and two-step verification.
    PasswordTooLong: Invalid, "Use at most {most} characters.";
    PasswordTooShort: Invalid, "Use at least {least} characters. This has {length}. Several unrelated words make a strong password.";
    PasswordWithControl: Invalid, "Remove the line break or control character. Browsers can't send it in a sign-in form.";
    PasswordIsKnown: Invalid, "Choose something other than your email address or name.";
    PasswordEasilyGuessed: Invalid,
        "This is easy to guess. Avoid common passwords, your name, patterns and repetitions. \
         Use several unrelated words, or let a password manager create one.";
    PasswordWrong: Invalid, "This is not your current password.";
    CodeWrong: Invalid, "This code is incorrect or has already been used.";
    CodeOfOtherKey: Invalid, "This isn't the current code for this key.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sentences::style;

    /// The parts of sentences.
    const PARTS: [&str; 22] = [
        "field",
        "fields",
        "most",
        "least",
        "count",
        "length",
        "choice",
        "option",
        "wrong",
        "host",
        "service",
        "domain",
        "name",
        "owner",
        "kind",
        "value",
        "line",
        "reason",
        "word",
        "scopes",
        "who",
        "each_field",
    ];

    #[test]
    fn every_sentence_has_the_same_style() {
        for error in FormError::ALL {
            assert_eq!(style::faults(error.sentence(), &PARTS), Vec::<String>::new(), "{error:?}");
        }
    }

    #[test]
    fn no_sentence_is_written_twice() {
        for (index, error) in FormError::ALL.iter().enumerate() {
            let twin = FormError::ALL[..index].iter().find(|other| other.sentence() == error.sentence());
            assert_eq!(twin, None, "{error:?}");
        }
    }

    #[test]
    fn a_taken_name_and_a_missing_value_are_words_for_programs() {
        for error in FormError::ALL {
            let taken = error.sentence().contains("Choose another name.");
            assert_eq!(error.fault() == FieldFault::Taken, taken, "{error:?}");
        }
        assert_eq!(FormError::FieldMissing.fault(), FieldFault::Required);
        assert_eq!(FormError::SecretMasked.fault(), FieldFault::Masked);
    }
}
