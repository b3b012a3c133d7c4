// hostpolicy says whether a host would pull an image: it asks the library that podman, skopeo, rpm-ostree and bootc ask.
//
//	hostpolicy POLICY.JSON REGISTRIES.D REPOSITORY:TAG
//
// It prints a line for what the tag points at (rpm-ostree and bootc, through skopeo's proxy, look at that) and, where
// that is an index, one for the manifest of linux/amd64 in it (podman and skopeo look at that): its kind, `allowed` or
// `refused`, and the reason. Registries are spoken to without TLS: it is for tests.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: hostpolicy POLICY.JSON REGISTRIES.D REPOSITORY:TAG")
	}
	ctx := context.Background()
	system := &types.SystemContext{
		RegistriesDirPath:           args[1],
		DockerInsecureSkipTLSVerify: types.OptionalBoolTrue,
		ArchitectureChoice:          "amd64",
		OSChoice:                    "linux",
	}
	policy, err := signature.NewPolicyFromFile(args[0])
	if err != nil {
		return err
	}
	host, err := signature.NewPolicyContext(policy)
	if err != nil {
		return err
	}
	defer host.Destroy()
	reference, err := docker.ParseReference("//" + args[2])
	if err != nil {
		return err
	}
	source, err := reference.NewImageSource(ctx, system)
	if err != nil {
		return err
	}
	defer source.Close()
	content, kind, err := source.GetManifest(ctx, nil)
	if err != nil {
		return err
	}
	say(ctx, host, source, nil, "toplevel")
	if !manifest.MIMETypeIsMultiImage(kind) {
		return nil
	}
	list, err := manifest.ListFromBlob(content, kind)
	if err != nil {
		return err
	}
	instance, err := list.ChooseInstance(system)
	if err != nil {
		return err
	}
	say(ctx, host, source, &instance, "instance")
	return nil
}

func say(ctx context.Context, host *signature.PolicyContext, source types.ImageSource, instance *digest.Digest, what string) {
	allowed, err := host.IsRunningImageAllowed(ctx, image.UnparsedInstance(source, instance))
	if allowed {
		fmt.Println(what, "allowed")
		return
	}
	fmt.Println(what, "refused", strings.ReplaceAll(fmt.Sprint(err), "\n", " "))
}
