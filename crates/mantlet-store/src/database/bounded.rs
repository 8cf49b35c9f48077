//! Calls of the database that come to an end: a server that was cut off answers nothing, and nobody says so.
//!
//! Whoever waits for it is told after a while, and the connection is closed instead of going back to the pool, which would
//! hand it out again. A transaction that is dropped before its commit closes its connection, too: the server rolls it back
//! when it hears of that, or when it has heard nothing for long.

use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, Either, Error, Execute, Executor, SqlStr};
use tokio::time::timeout;

/// A pool whose calls take so long at most.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pool: AnyPool,
    patience: Duration,
}

impl Pool {
    pub(super) const fn new(pool: AnyPool, patience: Duration) -> Self {
        Self { pool, patience }
    }

    /// A connection of one's own.
    pub(super) async fn acquire(&self) -> Result<Bounded, Error> {
        Ok(Bounded { connection: self.pool.acquire().await?, patience: self.patience })
    }

    /// A transaction that begins with these words.
    pub(super) async fn begin(&self, words: &'static str) -> Result<Writing, Error> {
        let mut writing = Writing { connection: self.acquire().await?, open: true };
        sqlx::raw_sql(words).execute(&mut *writing).await?;
        Ok(writing)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A connection whose calls take so long at most.
#[derive(Debug)]
pub(crate) struct Bounded {
    connection: PoolConnection<Any>,
    patience: Duration,
}

impl Bounded {
    /// What came of a call; a connection that gave no answer is done with.
    fn ended<T>(
        &mut self,
        answer: Result<Result<T, Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, Error> {
        answer.unwrap_or_else(|_| {
            self.connection.close_on_drop();
            Err(Error::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
        })
    }
}

/// A transaction. Dropped before [`Writing::commit`], nothing of it holds.
#[derive(Debug)]
pub(crate) struct Writing {
    connection: Bounded,
    open: bool,
}

impl Writing {
    pub(crate) async fn commit(mut self) -> Result<(), Error> {
        sqlx::raw_sql("COMMIT").execute(&mut *self).await?;
        self.open = false;
        Ok(())
    }
}

impl Deref for Writing {
    type Target = Bounded;

    fn deref(&self) -> &Bounded {
        &self.connection
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut Bounded {
        &mut self.connection
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if self.open {
            self.connection.connection.close_on_drop();
        }
    }
}

impl<'c> Executor<'c> for &'c mut Bounded {
    type Database = Any;

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<AnyQueryResult, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            let answer = timeout(self.patience, (&mut *self.connection).execute(query)).await;
            self.ended(answer)
        })
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            let answer = timeout(self.patience, (&mut *self.connection).fetch_all(query)).await;
            self.ended(answer)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move {
            let answer = timeout(self.patience, (&mut *self.connection).fetch_optional(query)).await;
            self.ended(answer)
        })
    }

    /// Not bounded: what is asked here is asked whole.
    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Any>,
    {
        (&mut *self.connection).fetch_many(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'c: 'e,
    {
        (&mut *self.connection).prepare_with(sql, parameters)
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Any;

    fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<AnyQueryResult, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move { (&mut self.acquire().await?).execute(query).await })
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move { (&mut self.acquire().await?).fetch_all(query).await })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        Box::pin(async move { (&mut self.acquire().await?).fetch_optional(query).await })
    }

    /// Not bounded: what is asked here is asked whole.
    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        (&self.pool).fetch_many(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        (&self.pool).prepare_with(sql, parameters)
    }
}
