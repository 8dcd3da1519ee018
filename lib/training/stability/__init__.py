"""What keeps a training on its course: usual norms, clipping, rollback, skips, and whether anything is learnt."""
