// SPDX-License-Identifier: Apache-2.0

// Stands in for kubernetes-csi/node-driver-registrar, which is not to be had as a Go module: the same flags, the kubelet's
// plugin registration protocol, the same end when the driver goes away. For the test cluster only.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kubernetes-csi/csi-lib-utils/connection"
	"github.com/kubernetes-csi/csi-lib-utils/rpc"
	"google.golang.org/grpc"
	"k8s.io/klog/v2"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

var version = "unknown"

type registrar struct {
	registration.UnimplementedRegistrationServer
	name, endpoint string
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type:              registration.CSIPlugin,
		Name:              r.name,
		Endpoint:          r.endpoint,
		SupportedVersions: []string{"1.0.0"},
	}, nil
}

// The kubelet tells the outcome; after a refusal, to be started again is the only way to be asked again.
func (r *registrar) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (
	*registration.RegistrationStatusResponse, error) {
	klog.InfoS("the kubelet answered", "registered", status.PluginRegistered, "error", status.Error)
	if !status.PluginRegistered {
		os.Exit(1)
	}
	return &registration.RegistrationStatusResponse{}, nil
}

func serveHealth(endpoint, path, socket string) {
	if endpoint == "" {
		return
	}
	http.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat(socket); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "ok")
	})
	go func() { klog.Fatal(http.ListenAndServe(endpoint, nil)) }()
}

func main() {
	klog.InitFlags(nil)
	csiAddress := flag.String("csi-address", "/run/csi/socket", "socket of the CSI driver, as seen here")
	kubeletPath := flag.String("kubelet-registration-path", "", "socket of the CSI driver, as the kubelet sees it")
	directory := flag.String("plugin-registration-path", "/registration", "where the kubelet looks for plugins")
	timeout := flag.Duration("timeout", time.Second, "for one call of the driver")
	endpoint := flag.String("http-endpoint", "", "address of the health check")
	healthPath := flag.String("http-healthz-path", "/healthz", "path of the health check")
	healthPort := flag.Int("health-port", 0, "port of the health check, instead of --http-endpoint")
	showVersion := flag.Bool("version", false, "show the version and end")
	flag.Parse()
	if *showVersion {
		fmt.Println(os.Args[0], version)
		return
	}
	if *kubeletPath == "" {
		klog.Fatal("--kubelet-registration-path is needed")
	}
	if *healthPort != 0 {
		*endpoint = fmt.Sprintf(":%d", *healthPort)
	}

	ctx := context.Background()
	conn, err := connection.ConnectWithoutMetrics(ctx, *csiAddress,
		connection.OnConnectionLoss(connection.ExitOnConnectionLoss()))
	if err != nil {
		klog.Fatal(err)
	}
	if err := rpc.ProbeForever(ctx, conn, *timeout); err != nil {
		klog.Fatal(err)
	}
	asked, cancel := context.WithTimeout(ctx, *timeout)
	name, err := rpc.GetDriverName(asked, conn)
	cancel()
	if err != nil {
		klog.Fatal(err)
	}

	socket := filepath.Join(*directory, name+"-reg.sock")
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		klog.Fatal(err)
	}
	mask := syscall.Umask(0o077)
	listener, err := net.Listen("unix", socket)
	syscall.Umask(mask)
	if err != nil {
		klog.Fatal(err)
	}
	serveHealth(*endpoint, *healthPath, socket)
	server := grpc.NewServer()
	registration.RegisterRegistrationServer(server, &registrar{name: name, endpoint: *kubeletPath})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		server.GracefulStop() // removes the socket too
	}()
	klog.InfoS("serving the kubelet's registration", "driver", name, "socket", socket)
	if err := server.Serve(listener); err != nil {
		klog.Fatal(err)
	}
}
