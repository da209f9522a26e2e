//! landlock: no file but what resolving names and watching the machine's load needs, and nothing that listens.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus, NetPort, RestrictionStatus,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
    path_beneath_rules,
};

use super::ConfineError;

/// What the C library reads to resolve names, and how busy the machine is. Read-only, each file by itself.
const READABLE: &[&str] = &[
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/proc/stat",
];
/// The versions that will do, the best first. From the fourth on (Linux 6.7) it knows TCP.
const VERSIONS: &[ABI] = &[ABI::V6, ABI::V5, ABI::V4];

/// Locks the calling thread and all it will start, and returns the version of landlock that holds it.
pub(super) fn lock() -> Result<u32, ConfineError> {
    let hard = |abi: ABI| Some((abi, ruleset(abi, CompatLevel::HardRequirement).ok()?));
    let Some((abi, ruleset)) = VERSIONS.iter().copied().find_map(hard) else {
        return Err(missing(&what_there_is()));
    };
    let status = ruleset.restrict_self().map_err(|error| missing(&error.to_string()))?;
    if status.ruleset == RulesetStatus::FullyEnforced && status.no_new_privs {
        Ok(abi as u32)
    } else {
        Err(missing("the system enforces it in part only"))
    }
}

fn ruleset(abi: ABI, level: CompatLevel) -> Result<RulesetCreated, RulesetError> {
    let mut ruleset = Ruleset::default().set_compatibility(level).handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V4 {
        // Connecting is what a load is for; which addresses it may reach is the network policy's to say.
        ruleset = ruleset.handle_access(AccessNet::BindTcp)?;
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    let created = ruleset.create()?.add_rules(path_beneath_rules(READABLE, AccessFs::ReadFile))?;
    // A free port for a connection from an address of its own (`localIPs`): seccomp lets nothing listen there.
    if abi >= ABI::V4 { created.add_rule(NetPort::new(0, AccessNet::BindTcp)) } else { Ok(created) }
}

/// Says which landlock there is where it does not do.
fn what_there_is() -> String {
    // The only way to learn it is to lock with what there is, and the process ends after this.
    let status = ruleset(ABI::V1, CompatLevel::BestEffort).and_then(RulesetCreated::restrict_self);
    match status {
        Ok(RestrictionStatus { landlock: LandlockStatus::NotEnabled, .. }) => {
            "the kernel has it switched off: add `landlock` to its `lsm=` parameter".to_owned()
        }
        Ok(RestrictionStatus { landlock: LandlockStatus::NotImplemented, .. }) => {
            "the kernel was built without it, or something around this process hides it".to_owned()
        }
        Ok(RestrictionStatus { landlock: LandlockStatus::Available { effective_abi, .. }, .. }) => {
            format!("the kernel has its ABI {effective_abi}, and at least {} is needed (Linux 6.7)", ABI::V4)
        }
        Err(error) => error.to_string(),
    }
}

fn missing(why: &str) -> ConfineError {
    ConfineError::Missing { what: "landlock", why: why.to_owned() }
}
