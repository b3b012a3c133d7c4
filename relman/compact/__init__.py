"""relman's compact list: what is inside one platform's image, some 25 KB, where the next reader finds it at once.

The list is a `relman.contents/1` document of one platform, compressed with zstd, in one of two places.

As a referrer of the platform's manifest:

- an OCI artifact manifest with that manifest as its ``subject``, ``artifactType``
  `application/vnd.relman.contents.v1+json`, the empty configuration, and one layer of the type
  `application/vnd.relman.contents.v1.json+zstd`;
- the layer's descriptor carries the list in ``data``, too, so that reading is two requests: referrers and manifest;
- the document names the subject's digest as ``image``, and is refused on any other;
- `org.opencontainers.image.created` orders several: the newest counts.

In band, for copies that drop referrers:

- the image's last layer holds one file, `usr/share/relman/contents.json.zst`;
- the label `dev.relman.contents` is a JSON object: ``layer``, the `diff_id` of that layer; ``list``, the digest of the
  file; ``beneath``, the `ChainID` (config.md of the OCI image format) of the layers below it, which the document names,
  too. Where `rootfs.diff_ids` says otherwise, somebody built on the image, and the list is stale.
"""
