//! Codes of error answers: those of the specification and of `distribution`, and no others. Which
//! status goes with a code is a matter of HTTP and lives in the server.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $message:literal;)*) => {
        /// The `code` of an error answer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $message] $name,)*
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The message where nothing better is known.
            #[must_use]
            pub const fn default_message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

codes! {
    Unknown = "UNKNOWN", "unknown error";
    Unsupported = "UNSUPPORTED", "The operation is unsupported.";
    Unauthorized = "UNAUTHORIZED", "authentication required";
    Denied = "DENIED", "requested access to the resource is denied";
    Unavailable = "UNAVAILABLE", "service unavailable";
    TooManyRequests = "TOOMANYREQUESTS", "too many requests";
    DigestInvalid = "DIGEST_INVALID", "provided digest did not match uploaded content";
    SizeInvalid = "SIZE_INVALID", "provided length did not match content length";
    RangeInvalid = "RANGE_INVALID", "invalid content range";
    NameInvalid = "NAME_INVALID", "invalid repository name";
    TagInvalid = "TAG_INVALID", "manifest tag did not match URI";
    NameUnknown = "NAME_UNKNOWN", "repository name not known to registry";
    ManifestUnknown = "MANIFEST_UNKNOWN", "manifest unknown";
    ManifestInvalid = "MANIFEST_INVALID", "manifest invalid";
    ManifestUnverified = "MANIFEST_UNVERIFIED", "manifest failed signature verification";
    ManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry";
    BlobUnknown = "BLOB_UNKNOWN", "blob unknown to registry";
    BlobUploadUnknown = "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry";
    BlobUploadInvalid = "BLOB_UPLOAD_INVALID", "blob upload invalid";
    PaginationNumberInvalid = "PAGINATION_NUMBER_INVALID", "invalid number of results requested";
}
