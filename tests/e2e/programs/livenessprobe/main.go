// SPDX-License-Identifier: Apache-2.0

// Stands in for kubernetes-csi/livenessprobe, which is not to be had as a Go module: the same flags, and a health check that
// answers 200 while the driver's Probe succeeds within its time, else 500. For the test cluster only.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/kubernetes-csi/csi-lib-utils/connection"
	"github.com/kubernetes-csi/csi-lib-utils/rpc"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
)

var version = "unknown"

func probe(conn *grpc.ClientConn, timeout time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithTimeout(request.Context(), timeout)
		defer cancel()
		ready, err := rpc.Probe(ctx, conn)
		if err == nil && !ready {
			err = fmt.Errorf("the driver says that it is not ready")
		}
		if err != nil {
			klog.ErrorS(err, "health check failed")
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "ok")
	}
}

func main() {
	klog.InitFlags(nil)
	csiAddress := flag.String("csi-address", "/run/csi/socket", "socket of the CSI driver")
	timeout := flag.Duration("probe-timeout", time.Second, "for one Probe")
	endpoint := flag.String("http-endpoint", "", "address of the health check")
	healthPort := flag.Int("health-port", 9808, "port of the health check, unless --http-endpoint is given")
	showVersion := flag.Bool("version", false, "show the version and end")
	flag.Parse()
	if *showVersion {
		fmt.Println(os.Args[0], version)
		return
	}
	if *endpoint == "" {
		*endpoint = fmt.Sprintf(":%d", *healthPort)
	}
	conn, err := connection.ConnectWithoutMetrics(context.Background(), *csiAddress)
	if err != nil {
		klog.Fatal(err)
	}
	http.HandleFunc("/healthz", probe(conn, *timeout))
	klog.InfoS("serving health checks", "endpoint", *endpoint, "driver", *csiAddress)
	klog.Fatal(http.ListenAndServe(*endpoint, nil))
}
