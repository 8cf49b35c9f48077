//! Tables behind addresses, copied whole to a file: objects of a store, and tables of a PostgreSQL server as CSV.

use std::io::Write;

use futures_util::TryStreamExt as _;
use mantlet_vocab::Source as _;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::address::shown;
use crate::{Object, Remote, RemoteError};

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;

/// A table of a PostgreSQL server, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    /// The address of the database, as the client takes it.
    database: String,
    /// The table's name as SQL, quoted.
    sql: String,
    /// The address as reports name it.
    name: String,
}

impl Table {
    /// `postgres://user@host/database?table=schema.name`; other parameters are those of the client.
    fn parse(uri: &str) -> Result<Self, RemoteError> {
        let wrong = || RemoteError::Address {
            uri: shown(uri),
            form: "postgres://user@host/database?table=schema.name",
        };
        let plain = uri.strip_prefix("postgres://").or_else(|| uri.strip_prefix("postgresql://"));
        if plain.is_none() || uri.chars().any(char::is_control) {
            return Err(wrong());
        }
        let (address, query) = uri.split_once('?').ok_or_else(wrong)?;
        let mut table = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.strip_prefix("table=") {
                Some(name) if table.is_none() => table = Some(name),
                Some(_) => return Err(wrong()),
                None => rest.push(pair),
            }
        }
        let table = table.filter(|name| !name.is_empty()).ok_or_else(wrong)?;
        let parts: Vec<&str> = table.split('.').collect();
        if parts.len() > 2 || parts.iter().any(|part| part.is_empty() || part.contains('%')) {
            return Err(wrong());
        }
        let quoted: Vec<String> =
            parts.iter().map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
        let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
        Ok(Self {
            database: format!("{address}{query}"),
            sql: quoted.join("."),
            name: format!("{}/{table}", shown(address)),
        })
    }
}

impl Remote {
    /// Copies a file, compared with the digest it is promised under; gives its bytes.
    ///
    /// # Errors
    /// When it cannot be read, is not what was promised, or has more bytes than are copied; or `out` fails.
    pub fn copy(&self, object: &Object, out: &mut dyn Write) -> Result<u64, RemoteError> {
        let lost = |why: String| RemoteError::Unreachable { uri: object.name.clone(), why };
        let source = self.open(object, object.promised.is_some())?;
        let most = self.http.limits.spool;
        if source.len() > most {
            return Err(lost(format!("it has {} bytes, {most} are copied at most", source.len())));
        }
        let mut buffer = vec![0; PIECE];
        let mut at = 0;
        while at < source.len() {
            let count = source.read_at(at, &mut buffer).map_err(|error| lost(error.to_string()))?;
            if count == 0 {
                return Err(lost(format!("it ends after {at} of {} bytes", source.len())));
            }
            out.write_all(&buffer[..count]).map_err(|error| lost(format!("the copy: {error}")))?;
            at += count as u64;
        }
        Ok(at)
    }

    /// Copies a table or view of a PostgreSQL server as CSV with a header, in one reading transaction and in the order
    /// in which the server holds the rows; gives the name for reports. A missing value is an empty field.
    ///
    /// # Errors
    /// When it is no address, the server cannot be reached or refuses, or there are more bytes than are copied.
    pub fn copy_table(&self, uri: &str, out: &mut dyn Write) -> Result<String, RemoteError> {
        let table = Table::parse(uri)?;
        let lost = |why: String| RemoteError::Unreachable { uri: table.name.clone(), why };
        let options: PgConnectOptions =
            table.database.parse().map_err(|error: sqlx::Error| lost(error.to_string()))?;
        let limits = self.http.limits;
        let copying = async {
            let connecting = PgConnection::connect_with(&options);
            let connected = tokio::time::timeout(limits.connect, connecting).await;
            let mut connection = connected
                .map_err(|_| "it does not answer in time".to_owned())?
                .map_err(|error| error.to_string())?;
            // The same rows in the same order, however many others read the table.
            for setting in [
                "SET default_transaction_read_only = on",
                "SET synchronize_seqscans = off",
                "SET max_parallel_workers_per_gather = 0",
                "SET client_encoding = 'UTF8'",
                "SET datestyle = 'ISO'",
                "SET timezone = 'UTC'",
                "SET extra_float_digits = 1",
            ] {
                sqlx::query(setting).execute(&mut connection).await.map_err(|error| error.to_string())?;
            }
            let statement =
                format!("COPY (SELECT * FROM {}) TO STDOUT WITH (FORMAT csv, HEADER true)", table.sql);
            let mut rows = connection.copy_out_raw(&statement).await.map_err(|error| error.to_string())?;
            let mut copied = 0_u64;
            while let Some(bytes) = rows.try_next().await.map_err(|error| error.to_string())? {
                copied += bytes.len() as u64;
                if copied > limits.spool {
                    return Err(format!("it has more than the {} bytes that are copied", limits.spool));
                }
                out.write_all(&bytes).map_err(|error| format!("the copy: {error}"))?;
            }
            Ok(())
        };
        let timed = async { tokio::time::timeout(limits.object, copying).await };
        let done = self.handle().block_on(timed);
        done.unwrap_or_else(|_| Err(format!("it takes longer than {} s", limits.object.as_secs())))
            .map_err(lost)?;
        Ok(table.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_quoted_and_its_password_is_not_shown() {
        let table =
            Table::parse("postgres://ann:secret@db:5433/bank?sslmode=require&table=risk.Odd\"name").unwrap();
        assert_eq!(table.database, "postgres://ann:secret@db:5433/bank?sslmode=require");
        assert_eq!(table.sql, "\"risk\".\"Odd\"\"name\"");
        assert_eq!(table.name, "postgres://db:5433/bank/risk.Odd\"name");
        for wrong in [
            "postgres://ann:secret@db/bank",
            "postgres://ann:secret@db/bank?table=",
            "postgres://ann:secret@db/bank?table=a.b.c",
            "postgres://ann:secret@db/bank?table=a&table=b",
            "postgres://ann:secret@db/bank?table=a%22",
            "mysql://ann:secret@db/bank?table=a",
        ] {
            let error = Table::parse(wrong).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("?table=schema.name"), "{error}");
        }
    }
}
