// definitions-server: the stand-alone CustomResourceDefinition server of current Kubernetes, with the discovery
// root and the OpenAPI v2 document that the library leaves to kube-apiserver, and with authorization,
// admission and the "core" API server left out.  For tests on 127.0.0.1 only.
package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"sort"

	"github.com/spf13/cobra"
	noopoteltrace "go.opentelemetry.io/otel/trace/noop"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	listers "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generatedopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/version"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/component-base/cli"
)

// root answers /api and /apis, which in a whole cluster the aggregator answers.
type root struct {
	next http.Handler
	crds listers.CustomResourceDefinitionLister
}

func (r *root) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var body any
	switch {
	case req.Method != http.MethodGet || r.crds == nil:
	case req.URL.Path == "/api":
		body = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{}}
	case req.URL.Path == "/apis":
		list, err := r.groups()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		body = list
	}
	if body == nil {
		r.next.ServeHTTP(w, req)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (r *root) groups() (*metav1.APIGroupList, error) {
	crds, err := r.crds.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	versions := map[string]map[string]bool{apiextensionsv1.GroupName: {"v1": true}}
	for _, crd := range crds {
		if !apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) {
			continue
		}
		for _, v := range crd.Spec.Versions {
			if v.Served {
				if versions[crd.Spec.Group] == nil {
					versions[crd.Spec.Group] = map[string]bool{}
				}
				versions[crd.Spec.Group][v.Name] = true
			}
		}
	}
	out := &metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	for name, set := range versions {
		g := metav1.APIGroup{Name: name}
		names := make([]string, 0, len(set))
		for v := range set {
			names = append(names, v)
		}
		sort.Slice(names, func(i, j int) bool { return version.CompareKubeAwareVersionStrings(names[i], names[j]) > 0 })
		for _, v := range names {
			g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + v, Version: v})
		}
		g.PreferredVersion = g.Versions[0]
		out.Groups = append(out.Groups, g)
	}
	sort.Slice(out.Groups, func(i, j int) bool { return out.Groups[i].Name < out.Groups[j].Name })
	return out, nil
}

type noServices struct{}

func (noServices) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	return nil, errors.New("this server has no Services; give conversion webhooks by URL")
}

func main() {
	ctx := genericapiserver.SetupSignalContext()
	o := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	o.RecommendedOptions.CoreAPI = nil
	o.RecommendedOptions.Admission = nil
	o.RecommendedOptions.Authorization = nil
	o.RecommendedOptions.Authentication.SkipInClusterLookup = true
	o.RecommendedOptions.Authentication.RemoteKubeConfigFileOptional = true
	o.RecommendedOptions.Features.EnablePriorityAndFairness = false

	cmd := &cobra.Command{
		Use:          "definitions-server",
		SilenceUsage: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return o.ServerRunOptions.ComponentGlobalsRegistry.Set()
		},
		RunE: func(*cobra.Command, []string) error {
			if err := o.Complete(); err != nil {
				return err
			}
			if err := o.Validate(); err != nil {
				return err
			}
			sc := genericapiserver.NewRecommendedConfig(apiserver.Codecs)
			if err := o.ServerRunOptions.ApplyTo(&sc.Config); err != nil {
				return err
			}
			if err := o.RecommendedOptions.ApplyTo(sc); err != nil {
				return err
			}
			if err := o.APIEnablement.ApplyTo(&sc.Config, apiserver.DefaultAPIResourceConfigSource(), apiserver.Scheme); err != nil {
				return err
			}
			defs := openapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(generatedopenapi.GetOpenAPIDefinitions)
			namer := openapinamer.NewDefinitionNamer(apiserver.Scheme, scheme.Scheme)
			sc.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(defs, namer)
			sc.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(defs, namer)
			front := &root{}
			sc.BuildHandlerChainFunc = func(h http.Handler, c *genericapiserver.Config) http.Handler {
				front.next = h
				return genericapiserver.DefaultBuildHandlerChain(front, c)
			}
			config := &apiserver.Config{
				GenericConfig: sc,
				ExtraConfig: apiserver.ExtraConfig{
					CRDRESTOptionsGetter: options.NewCRDRESTOptionsGetter(*o.RecommendedOptions.Etcd, sc.ResourceTransformers, sc.StorageObjectCountTracker),
					MasterCount:          1,
					ServiceResolver:      noServices{},
					AuthResolverWrapper:  webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, sc.LoopbackClientConfig, noopoteltrace.NewTracerProvider()),
				},
			}
			server, err := config.Complete().New(genericapiserver.NewEmptyDelegate())
			if err != nil {
				return err
			}
			front.crds = server.Informers.Apiextensions().V1().CustomResourceDefinitions().Lister()
			return server.GenericAPIServer.PrepareRun().RunWithContext(ctx)
		},
	}
	o.AddFlags(cmd.Flags())
	os.Exit(cli.Run(cmd))
}
