"""Where a release is published: releases of forges."""
