//! Hostile bytes at the router's port: each closes only its own connection or is answered as PostgreSQL would answer,
//! and everybody else goes on.

use howdah_harness::group::{LocalGroup, Options};
use howdah_harness::hostile::{Address, Target, cases};

#[test]
fn hostile_bytes_harm_only_their_own_connection() {
    let group =
        LocalGroup::start(env!("CARGO_BIN_EXE_howdah"), &Options::default()).expect("the group starts");
    let mut bystander = group.connect().expect("a connection");
    let address = group.address().expect("an address");
    let target = Target {
        address: Address::Tcp(format!("{}:{}", address.host, address.port)),
        user: address.user,
        password: address.password,
        database: address.database,
    };
    let mut wrong = Vec::new();
    for case in cases().expect("the cases can be read") {
        let found = case.play(&target).unwrap_or_else(|error| format!("{error:#}"));
        if found != case.expected && case.router.as_ref() != Some(&found) {
            wrong.push(format!(
                "{}: expected {}, found {found}",
                case.name,
                case.router.unwrap_or(case.expected)
            ));
        }
        let answer = bystander.rows("SELECT 1").unwrap_or_else(|error| panic!("{}: {error:#}", case.name));
        assert_eq!(answer, [[Some("1".to_owned())]], "{}", case.name);
        target.client().unwrap_or_else(|error| panic!("{}: nobody gets in any more: {error:#}", case.name));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
