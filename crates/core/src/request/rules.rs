//! Which claims and proxies an installation goes by.

/// Which claims name the actor and the tenant, and how many proxies are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRules {
    /// The claim that names the actor: one top-level member, taken literally even when it holds dots.
    pub actor_claim: String,
    /// Where to look for the tenant, in this order; each entry is the path to one member.
    pub tenant_claims: Vec<Vec<String>>,
    /// How many proxies append to `x-forwarded-for` before the server is reached; 0 ignores the header.
    pub trusted_proxy_count: usize,
}

impl Default for RequestRules {
    /// Actor `sub`, tenant `app_metadata.tenant_id` or `app_metadata.community_id`, one trusted proxy.
    fn default() -> Self {
        Self {
            actor_claim: "sub".to_owned(),
            tenant_claims: parse_paths("app_metadata.tenant_id, app_metadata.community_id"),
            trusted_proxy_count: 1,
        }
    }
}

impl RequestRules {
    /// Reads the value of the setting `tenant_claims`: paths separated by commas, steps separated by dots.
    ///
    /// A step that itself holds a dot, a comma or a blank is written in double quotes, a quote within it
    /// twice: `"https://example.org/claims".tenant_id`. Empty steps and empty paths are left out.
    #[must_use]
    pub fn parse_paths(text: &str) -> Vec<Vec<String>> {
        parse_paths(text)
    }
}

fn parse_paths(text: &str) -> Vec<Vec<String>> {
    let mut paths = vec![];
    let mut path = vec![];
    let mut step = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => step.extend(chars.next()),
            '"' => quoted = !quoted,
            '.' if !quoted => end_step(&mut step, &mut path),
            ',' if !quoted => {
                end_step(&mut step, &mut path);
                end_path(&mut path, &mut paths);
            }
            c if !quoted && c.is_whitespace() => {}
            c => step.push(c),
        }
    }
    end_step(&mut step, &mut path);
    end_path(&mut path, &mut paths);
    paths
}

fn end_step(step: &mut String, path: &mut Vec<String>) {
    if !step.is_empty() {
        path.push(std::mem::take(step));
    }
}

fn end_path(path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    if !path.is_empty() {
        paths.push(std::mem::take(path));
    }
}
