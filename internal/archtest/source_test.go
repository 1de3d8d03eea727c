package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "pfwarden"
	root   = "../.."
)

// file is one Go file of ours, whatever system or build tag it is for.
type file struct {
	name   string // from the module's root, with slashes
	folder string // its package's folder, "" for the root
	isTest bool
	syntax *ast.File
	set    *token.FileSet
}

// sources parses every Go file of the module.
func sources(t *testing.T) []file {
	t.Helper()
	var all []file
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		all = append(all, file{relative, strings.TrimPrefix(path.Dir(relative), "."), strings.HasSuffix(base, "_test.go"), syntax, set})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found: the tests of this package would prove nothing")
	}
	return all
}

// imports lists what a file imports.
func (f file) imports() []string {
	var list []string
	for _, spec := range f.syntax.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil {
			list = append(list, name)
		}
	}
	return list
}

// uses gives the places where the file uses one of the names of an imported package, such as "time", "Now".
func (f file) uses(importPath string, names ...string) []token.Position {
	local := ""
	for _, spec := range f.syntax.Imports {
		if name, err := strconv.Unquote(spec.Path.Value); err == nil && name == importPath {
			local = path.Base(importPath)
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var found []token.Position
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := selector.X.(*ast.Ident); ok && x.Name == local && slices.Contains(names, selector.Sel.Name) {
			found = append(found, f.set.Position(selector.Pos()))
		}
		return true
	})
	return found
}

// in tells whether a folder is one of several or lies in one of them.
func in(folder string, parents ...string) bool {
	return slices.ContainsFunc(parents, func(parent string) bool { return folder == parent || strings.HasPrefix(folder, parent+"/") })
}

// functions lists the file's functions that are no methods.
func (f file) functions() []string {
	var list []string
	for _, d := range f.syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
			list = append(list, fn.Name.Name)
		}
	}
	return list
}
