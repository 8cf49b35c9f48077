//! People, their sessions, and API keys. Only hashes are kept.

use mantlet_access::{ApiKey, KeyRing, Scope, Secret, Session, User};
use mantlet_vocab::{Digest, Millis};
use serde_json::json;

use crate::database::{doc, instant, read, read_all};
use crate::{Store, StoreError, entropy};

impl Store {
    /// Makes an API key; the secret is given once and not kept.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn make_key(
        &self,
        label: &str,
        scopes: Vec<Scope>,
        expires: Option<Millis>,
        actor: &str,
    ) -> Result<(Secret, ApiKey), StoreError> {
        self.make_owned_key(label, scopes, expires, (None, None), actor).await
    }

    /// Makes an API key that belongs to a user and a tenant, as far as they are named.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn make_owned_key(
        &self,
        label: &str,
        scopes: Vec<Scope>,
        expires: Option<Millis>,
        (user, tenant): (Option<String>, Option<String>),
        actor: &str,
    ) -> Result<(Secret, ApiKey), StoreError> {
        let new = ApiKey::generate(&entropy()?, label, scopes, self.now(), expires);
        let record = ApiKey { user, tenant, ..new.record };
        self.put_key(&record, actor).await?;
        Ok((new.secret, record))
    }

    /// Adds or replaces a key's record.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn put_key(&self, key: &ApiKey, actor: &str) -> Result<(), StoreError> {
        let mut detail = json!({ "label": key.label, "scopes": key.scopes, "expires": key.expires });
        for (name, value) in [("user", &key.user), ("tenant", &key.tenant)] {
            if let Some(value) = value {
                detail[name] = json!(value);
            }
        }
        self.note(actor, "key-kept", &key.id, detail).await?;
        self.write_key(key).await
    }

    async fn write_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let database = &self.inner.database;
        sqlx::query(
            "INSERT INTO api_keys (id, doc) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc",
        )
        .bind(&key.id)
        .bind(doc("api_keys", key)?)
        .execute(database.pool())
        .await
        .map_err(database.fault("write keys"))?;
        Ok(())
    }

    /// All keys, revoked ones included, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let database = &self.inner.database;
        let rows = sqlx::query("SELECT doc FROM api_keys").fetch_all(database.pool()).await;
        let mut keys: Vec<ApiKey> = read_all("api_keys", &rows.map_err(database.fault("read keys"))?)?;
        keys.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
        Ok(keys)
    }

    /// All keys, ready to verify what callers present.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_ring(&self) -> Result<KeyRing, StoreError> {
        Ok(KeyRing::new(self.keys().await?))
    }

    /// Withdraws a key for good.
    ///
    /// # Errors
    /// When there is no such key, or the log or the database fails.
    pub async fn revoke_key(&self, id: &str, actor: &str) -> Result<ApiKey, StoreError> {
        let found = self.keys().await?.into_iter().find(|key| key.id == id);
        let mut key = found.ok_or_else(|| StoreError::Missing { what: "key", name: id.to_owned() })?;
        if key.revoked.is_none() {
            self.note(actor, "key-revoked", id, json!({ "label": key.label })).await?;
            key.revoked = Some(self.now());
            self.write_key(&key).await?;
        }
        Ok(key)
    }

    /// Makes a key that may do what another one may, for the same user and tenant, and lets the other one end after an
    /// overlap, unless it ends earlier anyway. A key that is no longer in force is not followed.
    ///
    /// # Errors
    /// When there is no such key in force, or the log or the database fails.
    pub async fn rotate_key(
        &self,
        id: &str,
        overlap_ms: u64,
        expires: Option<Millis>,
        actor: &str,
    ) -> Result<(Secret, ApiKey), StoreError> {
        let now = self.now();
        let in_force =
            |key: &ApiKey| key.id == id && key.revoked.is_none() && key.expires.is_none_or(|end| now < end);
        let found = self.keys().await?.into_iter().find(in_force);
        let old = found.ok_or_else(|| StoreError::Missing { what: "key in force", name: id.to_owned() })?;
        let owner = (old.user.clone(), old.tenant.clone());
        let made = self.make_owned_key(&old.label, old.scopes.clone(), expires, owner, actor).await?;
        let end = now.plus(overlap_ms);
        let end = old.expires.map_or(end, |earlier| earlier.min(end));
        self.put_key(&ApiKey { expires: Some(end), ..old }, actor).await?;
        Ok(made)
    }

    /// Adds or replaces a person. Whoever is disabled loses all sessions.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn put_user(&self, user: &User, actor: &str) -> Result<(), StoreError> {
        let database = &self.inner.database;
        let detail = json!({ "role": user.role, "disabled": user.disabled });
        self.note(actor, "user-kept", &user.name, detail).await?;
        let mut writing = database.begin().await?;
        sqlx::query(
            "INSERT INTO users (name, doc) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET doc = excluded.doc",
        )
        .bind(&user.name)
        .bind(doc("users", user)?)
        .execute(&mut *writing)
        .await
        .map_err(database.fault("write users"))?;
        // A session carries the role it began with, so any change of the person ends the sessions.
        sqlx::query("DELETE FROM sessions WHERE \"user\" = $1")
            .bind(&user.name)
            .execute(&mut *writing)
            .await
            .map_err(database.fault("write sessions"))?;
        writing.commit().await.map_err(database.fault("write users"))
    }

    /// The person of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query("SELECT doc FROM users WHERE name = $1").bind(name);
        let row = row.fetch_optional(database.pool()).await.map_err(database.fault("read users"))?;
        row.map(|row| read("users", &row)).transpose()
    }

    /// All people by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        let database = &self.inner.database;
        let rows = sqlx::query("SELECT doc FROM users ORDER BY name").fetch_all(database.pool()).await;
        read_all("users", &rows.map_err(database.fault("read users"))?)
    }

    /// Begins a session for a person whose password was checked; the token is given once and not kept.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn begin_session(&self, user: &User, lasts_ms: u64) -> Result<(Secret, Session), StoreError> {
        let (token, session) = Session::begin(&user.name, user.role, &entropy()?, self.now(), lasts_ms);
        self.keep_session(&session).await?;
        Ok((token, session))
    }

    /// Keeps a session that was begun elsewhere; a sign-in is a line of the audit log.
    ///
    /// # Errors
    /// When the log or the database fails.
    pub async fn keep_session(&self, session: &Session) -> Result<(), StoreError> {
        let database = &self.inner.database;
        self.note(&session.user, "signed-in", &session.user, json!({ "role": session.role })).await?;
        sqlx::query("DELETE FROM sessions WHERE expires <= $1")
            .bind(instant(self.now()))
            .execute(database.pool())
            .await
            .map_err(database.fault("write sessions"))?;
        sqlx::query("INSERT INTO sessions (hash, \"user\", expires, doc) VALUES ($1, $2, $3, $4)")
            .bind(session.hash.hex())
            .bind(&session.user)
            .bind(instant(session.expires))
            .bind(doc("sessions", session)?)
            .execute(database.pool())
            .await
            .map_err(database.fault("write sessions"))?;
        Ok(())
    }

    /// Ends every session of a person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_sessions_of(&self, user: &str) -> Result<(), StoreError> {
        let database = &self.inner.database;
        sqlx::query("DELETE FROM sessions WHERE \"user\" = $1")
            .bind(user)
            .execute(database.pool())
            .await
            .map_err(database.fault("write sessions"))?;
        Ok(())
    }

    /// The running session of this hash ([`Session::hash`]).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session_of(&self, hash: &Digest) -> Result<Option<Session>, StoreError> {
        let database = &self.inner.database;
        let row = sqlx::query("SELECT doc FROM sessions WHERE hash = $1").bind(hash.hex());
        let row = row.fetch_optional(database.pool()).await.map_err(database.fault("read sessions"))?;
        let session: Option<Session> = row.map(|row| read("sessions", &row)).transpose()?;
        Ok(session.filter(|session| session.runs(self.now())))
    }

    /// The running session of a presented token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(&self, token: &str) -> Result<Option<Session>, StoreError> {
        self.session_of(&Session::hash(token)).await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_session(&self, hash: &Digest) -> Result<(), StoreError> {
        let database = &self.inner.database;
        sqlx::query("DELETE FROM sessions WHERE hash = $1")
            .bind(hash.hex())
            .execute(database.pool())
            .await
            .map_err(database.fault("write sessions"))?;
        Ok(())
    }
}
