"""The journal's tables, version by version."""

__all__ = ["APPLICATION_ID", "MIGRATIONS"]

APPLICATION_ID = 0x4F43544F
"""Marks the file as ours: "OCTO" in ASCII."""

MIGRATIONS = (
    """
    CREATE TABLE inbound (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account TEXT NOT NULL,
        message_id TEXT NOT NULL,
        message_seq INTEGER NOT NULL,
        client_msg_no TEXT NOT NULL,
        from_uid TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        channel_type INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        payload BLOB NOT NULL,
        decision TEXT NOT NULL,
        reason TEXT NOT NULL,
        session_key TEXT NOT NULL,
        trace TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN
            ('received', 'queued', 'running', 'answered', 'notified', 'context', 'dead')),
        attempt INTEGER NOT NULL DEFAULT 0,
        run_id TEXT NOT NULL DEFAULT '',
        notice_id TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '',
        received_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (account, message_id)
    );
    CREATE INDEX inbound_open ON inbound (account, id) WHERE state IN ('received', 'queued', 'running');
    CREATE TABLE delivery (
        ref TEXT PRIMARY KEY,
        inbound_id INTEGER NOT NULL REFERENCES inbound (id) ON DELETE CASCADE,
        run_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('planned', 'sending', 'sent', 'dead')),
        message_id TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '',
        updated_at INTEGER NOT NULL
    );
    CREATE INDEX delivery_inbound ON delivery (inbound_id, position);
    CREATE TABLE episode (
        session_key TEXT NOT NULL,
        episode TEXT NOT NULL,
        noted_at INTEGER NOT NULL,
        PRIMARY KEY (session_key, episode)
    ) WITHOUT ROWID;
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE failure (
        session_key TEXT PRIMARY KEY,
        count INTEGER NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE cursor (
        account TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        channel_type INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        PRIMARY KEY (account, channel_id, channel_type)
    ) WITHOUT ROWID;
    ALTER TABLE inbound ADD COLUMN ending TEXT NOT NULL DEFAULT '';
    CREATE INDEX inbound_age ON inbound (received_at);
    """,
    """
    CREATE INDEX inbound_conversation ON inbound (account, channel_id, channel_type, message_seq);
    """,
    """
    CREATE INDEX inbound_refused ON inbound (account, from_uid, channel_id) WHERE decision = 'refused';
    """,
    """
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        account TEXT NOT NULL,
        requester TEXT NOT NULL,
        run_id TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('begun', 'done', 'denied', 'failed')),
        detail TEXT NOT NULL
    );
    CREATE INDEX audit_age ON audit (at);
    """,
    """
    ALTER TABLE delivery ADD COLUMN file TEXT NOT NULL DEFAULT '';
    ALTER TABLE delivery ADD COLUMN payload TEXT NOT NULL DEFAULT '';
    ALTER TABLE delivery ADD COLUMN reply TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE pairing_request (
        account TEXT NOT NULL,
        uid TEXT NOT NULL,
        code TEXT NOT NULL,
        requested_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (account, uid)
    ) WITHOUT ROWID;
    CREATE TABLE paired (
        account TEXT NOT NULL,
        uid TEXT NOT NULL,
        approved_at INTEGER NOT NULL,
        PRIMARY KEY (account, uid)
    ) WITHOUT ROWID;
    CREATE TABLE pairing_miss (at INTEGER NOT NULL);
    """,
    """
    ALTER TABLE inbound ADD COLUMN breaks INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE inbound ADD COLUMN retried INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE inbound ADD COLUMN context_role TEXT GENERATED ALWAYS AS (CASE
        WHEN decision = 'turn' AND state = 'answered' THEN 'answered'
        WHEN decision = 'command' AND state = 'answered' AND instr(payload, CAST('/reset' AS BLOB)) THEN 'reset'
        WHEN decision = 'context' THEN 'said'
        WHEN decision = 'turn' AND attempt = 0 AND state IN ('notified', 'dead') THEN 'said'
        ELSE '' END) VIRTUAL;
    DROP INDEX inbound_conversation;
    CREATE INDEX inbound_context ON inbound (account, channel_id, channel_type, context_role, message_seq);
    ALTER TABLE inbound ADD COLUMN retention TEXT GENERATED ALWAYS AS (CASE
        WHEN state IN ('received', 'queued', 'running') THEN 'open'
        WHEN session_key = '' AND state != 'dead' THEN 'chatter'
        ELSE 'addressed' END) VIRTUAL;
    DROP INDEX inbound_age;
    CREATE INDEX inbound_retention ON inbound (retention, received_at);
    DROP INDEX inbound_refused;
    CREATE INDEX inbound_refused ON inbound (account, from_uid, channel_id, channel_type, reason)
        WHERE decision = 'refused' AND ending != '';
    CREATE INDEX cursor_age ON cursor (account, updated_at);
    CREATE INDEX episode_age ON episode (noted_at);
    CREATE INDEX audit_open ON audit (account) WHERE outcome = 'begun';
    """,
    """
    CREATE INDEX inbound_sent ON inbound (account, client_msg_no) WHERE client_msg_no != '';
    """,
    """
    DROP INDEX inbound_context;
    ALTER TABLE inbound DROP COLUMN context_role;
    ALTER TABLE inbound ADD COLUMN context_role TEXT GENERATED ALWAYS AS (CASE
        WHEN decision = 'turn' AND state = 'answered' THEN 'answered'
        WHEN decision = 'command' AND state = 'answered' AND (detail = '/reset'
            OR (detail IN ('', 'found in the chat') AND instr(payload, CAST('/reset' AS BLOB)))) THEN 'reset'
        WHEN decision = 'context' THEN 'said'
        WHEN decision = 'turn' AND attempt = 0 AND state IN ('notified', 'dead') THEN 'said'
        ELSE '' END) VIRTUAL;
    CREATE INDEX inbound_context ON inbound (account, channel_id, channel_type, context_role, message_seq);
    """,
    """
    CREATE TABLE prompt (
        inbound_id INTEGER PRIMARY KEY REFERENCES inbound (id) ON DELETE CASCADE,
        run_id TEXT NOT NULL,
        text TEXT NOT NULL,
        kept_at INTEGER NOT NULL
    );
    CREATE INDEX prompt_age ON prompt (kept_at);
    """,
    """
    CREATE TABLE post (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        account TEXT NOT NULL,
        key TEXT NOT NULL,
        digest TEXT NOT NULL,
        channel_id TEXT NOT NULL,
        channel_type INTEGER NOT NULL,
        reason TEXT NOT NULL,
        planned_at INTEGER NOT NULL,
        UNIQUE (account, key)
    );
    CREATE INDEX post_age ON post (planned_at);
    CREATE TABLE delivery_or_post (
        ref TEXT PRIMARY KEY,
        inbound_id INTEGER REFERENCES inbound (id) ON DELETE CASCADE,
        post_id INTEGER REFERENCES post (id) ON DELETE CASCADE,
        run_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('planned', 'sending', 'sent', 'dead')),
        message_id TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '',
        updated_at INTEGER NOT NULL,
        file TEXT NOT NULL DEFAULT '',
        payload TEXT NOT NULL DEFAULT '',
        reply TEXT NOT NULL DEFAULT ''
    );
    INSERT INTO delivery_or_post (ref, inbound_id, run_id, position, text, state, message_id, detail, updated_at,
        file, payload, reply) SELECT ref, inbound_id, run_id, position, text, state, message_id, detail, updated_at,
        file, payload, reply FROM delivery;
    DROP TABLE delivery;
    ALTER TABLE delivery_or_post RENAME TO delivery;
    CREATE INDEX delivery_inbound ON delivery (inbound_id, position);
    CREATE INDEX delivery_post ON delivery (post_id, position) WHERE post_id IS NOT NULL;
    CREATE INDEX inbound_session ON inbound (session_key, id) WHERE session_key != '';
    """,
    """
    CREATE TABLE interruption (
        inbound_id INTEGER PRIMARY KEY REFERENCES inbound (id) ON DELETE CASCADE
    );
    """,
    """
    CREATE TABLE progress (
        inbound_id INTEGER PRIMARY KEY REFERENCES inbound (id) ON DELETE CASCADE,
        ref TEXT NOT NULL,
        message_id TEXT NOT NULL DEFAULT '',
        began_at INTEGER NOT NULL,
        planned_at INTEGER NOT NULL,
        is_passed INTEGER NOT NULL DEFAULT 0
    );
    ALTER TABLE delivery ADD COLUMN replaces TEXT NOT NULL DEFAULT '';
    """,
    """
    CREATE TABLE approval (
        account TEXT NOT NULL,
        id TEXT NOT NULL,
        inbound_id INTEGER NOT NULL REFERENCES inbound (id) ON DELETE CASCADE,
        ref TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        choices TEXT NOT NULL,
        shown INTEGER NOT NULL DEFAULT 0,
        decision TEXT NOT NULL DEFAULT '',
        decided_by TEXT NOT NULL DEFAULT '',
        end_ref TEXT NOT NULL DEFAULT '',
        end_told INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (account, id)
    ) WITHOUT ROWID;
    CREATE INDEX approval_message ON approval (inbound_id);
    CREATE INDEX approval_open ON approval (account) WHERE decision = '';
    """,
    """
    CREATE TABLE line (
        account TEXT NOT NULL,
        message_id TEXT NOT NULL,
        told_at INTEGER NOT NULL,
        PRIMARY KEY (account, message_id)
    ) WITHOUT ROWID;
    CREATE INDEX line_age ON line (told_at);
    """,
)
"""One script for each schema version; version N is reached by running the first N."""
