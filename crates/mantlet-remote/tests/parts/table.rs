//! Tables of a real PostgreSQL server, started here.

use mantlet_remote::RemoteError;
use mantlet_testkit::servers::Postgres;
use sqlx::Connection as _;

use super::remote;

fn fill(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = sqlx::postgres::PgConnection::connect(url).await?;
        for statement in [
            "CREATE SCHEMA risk",
            "CREATE TABLE risk.\"Card payments\" (id bigint, amount double precision, at timestamptz, note text)",
            "INSERT INTO risk.\"Card payments\" VALUES (9007199254740993, 0.1, '2026-11-03 10:00+01', \
             'a \"b\", c'), (2, NULL, NULL, E'x\\ny')",
            "CREATE VIEW recent AS SELECT id FROM risk.\"Card payments\" WHERE amount IS NULL",
            "CREATE TABLE large AS SELECT repeat('x', 1000) AS text FROM generate_series(1, 5000)",
        ] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(())
    })
}

#[test]
fn a_table_and_a_view_are_copied_as_they_stand_and_no_more_than_a_bound() {
    let server = Postgres::start();
    let url = server.url();
    fill(&url).unwrap();
    let copy = |table: &str| {
        let mut out = Vec::new();
        let name = remote().copy_table(&format!("{url}&table={table}"), &mut out)?;
        Ok::<_, RemoteError>((name, String::from_utf8(out).unwrap()))
    };
    let (name, text) = copy("risk.Card payments").unwrap();
    assert_eq!(name, "postgres://localhost/postgres/risk.Card payments");
    assert_eq!(
        text,
        "id,amount,at,note\n9007199254740993,0.1,2026-11-03 09:00:00+00,\"a \"\"b\"\", c\"\n2,,,\"x\ny\"\n"
    );
    assert_eq!(copy("recent").unwrap().1, "id\n2\n");
    let error = |table: &str| copy(table).unwrap_err().to_string();
    assert!(error("nowhere").contains("nowhere"), "{}", error("nowhere"));
    // What is written in place of a name stays a name.
    let injected = error("recent\") TO STDOUT; DROP TABLE large; --");
    assert!(injected.contains("does not exist"), "{injected}");
    assert!(error("large").contains("are copied"), "{}", error("large"));
    drop(server);
    let gone = error("recent");
    assert!(gone.contains("cannot be read"), "{gone}");
}
