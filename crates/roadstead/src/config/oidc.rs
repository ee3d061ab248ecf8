//! `access.oidc`: issuers whose ID tokens say who somebody is.

use std::path::PathBuf;

use roadstead_auth::{HttpsUrl, OidcSettings};

use super::cursor::Cursor;
use super::token::algorithms;

/// Characters of an issuer's name at most: it stands in rules and log lines.
const MAX_NAME: usize = 63;

pub(crate) fn read(root: &Cursor<'_>) -> Vec<OidcSettings> {
    let mut issuers: Vec<OidcSettings> = Vec::new();
    for section in root.section("access").sections("oidc") {
        let Some(read) = issuer(&section) else {
            continue;
        };
        if issuers.iter().any(|other| other.name == read.name) {
            section.refuse("name", "another issuer has this name");
        }
        if issuers.iter().any(|other| other.issuer == read.issuer) {
            section.refuse("issuer", "it is listed twice");
        }
        issuers.push(read);
    }
    issuers
}

fn issuer(section: &Cursor<'_>) -> Option<OidcSettings> {
    let name = section.text("name").unwrap_or_default();
    if !is_name(&name) {
        let message = format!("an issuer needs it: up to {MAX_NAME} of a-z, 0-9 and -");
        section.refuse("name", &message);
    }
    let issuer: Option<HttpsUrl> = section.url("issuer");
    if section.text("issuer").is_none() {
        section.refuse("issuer", "it is needed: the address of the issuer");
    }
    let audiences = section.texts("audiences").into_iter();
    let audiences: Vec<String> = audiences.map(|located| located.text).collect();
    let client_id = section.text("clientid");
    if audiences.is_empty() && client_id.is_none() || audiences.iter().any(String::is_empty) {
        let message = "an issuer needs audiences or a clientid: its tokens for others are refused";
        section.refuse("audiences", message);
    }
    let algorithms = algorithms(section, &OidcSettings::default_algorithms());
    Some(OidcSettings {
        name,
        issuer: issuer?,
        audiences,
        client_id,
        ca: section.text("ca").map(PathBuf::from),
        algorithms,
        username_claim: section.text("usernameclaim").unwrap_or("sub".to_owned()),
        groups_claim: section.text("groupsclaim"),
    })
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(letter)
}
