//! Views over several tables, looked at over scratch tables that have the new shape.

use super::session::{ProbeError, Session, refused};
use crate::Flaw;
use crate::shape::{NewView, Shape};

impl Session<'_> {
    /// The text of a view of the version before, with the names that its clients use.
    pub async fn view_text(
        &self,
        schema: &crate::Ident,
        name: &crate::Ident,
    ) -> Result<String, ProbeError> {
        self.ask().await?;
        let answer = self.text_of(schema, name).await;
        self.asked(answer).await
    }

    async fn text_of(
        &self,
        schema: &crate::Ident,
        name: &crate::Ident,
    ) -> Result<String, ProbeError> {
        self.set_path(&format!("{schema}, {}", self.path())).await?;
        let view = format!("{schema}.{name}");
        let sql = "SELECT pg_get_viewdef($1::text::regclass)";
        let row = self.client.query_one(sql, &[&view]).await.map_err(refused)?;
        let text: String = row.get(0);
        Ok(text.trim().trim_end_matches(';').to_owned())
    }
}

/// Puts views into an order in which each finds those it reads; flaws for what is left.
pub async fn order(shape: &mut Shape<'_>, session: &Session<'_>) -> Result<(), ProbeError> {
    if shape.views.is_empty() {
        return Ok(());
    }
    session.ask().await?;
    let ordered = ordered(shape, session).await;
    shape.views = session.asked(ordered).await?;
    Ok(())
}

async fn ordered(shape: &mut Shape<'_>, session: &Session<'_>) -> Result<Vec<NewView>, ProbeError> {
    for table in shape.tables.iter().filter(|table| table.live) {
        session.scratch(&table.name, &table.visible()).await?;
    }
    let mut left = std::mem::take(&mut shape.views);
    let mut done = vec![];
    loop {
        let (mut failed, mut told) = (vec![], vec![]);
        let before = done.len();
        for view in left {
            match one(session, &view).await {
                Ok(()) => done.push(view),
                Err(ProbeError::Refused(said)) => {
                    told.push(flaw(&view, said));
                    failed.push(view);
                }
                Err(error) => return Err(error),
            }
        }
        if failed.is_empty() || done.len() == before {
            shape.flaws.extend(told);
            return Ok(done);
        }
        left = failed;
    }
}

async fn one(session: &Session<'_>, view: &NewView) -> Result<(), ProbeError> {
    session.client.batch_execute("SAVEPOINT view").await?;
    let sql = format!("CREATE TEMP VIEW {} AS\n{}\n", view.name, view.definition);
    let made = session.run(&sql).await;
    if made.is_err() {
        session.client.batch_execute("ROLLBACK TO view").await?;
    }
    made
}

fn flaw(view: &NewView, said: String) -> Flaw {
    if view.path.is_empty() {
        let message = format!("view {} of the version before cannot be kept: {said}", view.name);
        return Flaw::new("", message)
            .hint("say x_create_view with a new definition, or x_drop_view");
    }
    Flaw::new(&view.path, said)
}
